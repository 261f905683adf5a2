package ecs

import (
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/record"
	"minato/store"
)

// tasksOfToken are the tasks that a client token has made before.
func (s *Service) tasksOfToken(tx *store.Tx, p arn.Place, token record.Token) (tasks []ecsapi.Task, found bool, err error) {
	if token.Text == "" {
		return nil, false, nil
	}
	for i := 0; ; i++ {
		t, found, err := s.tasks.TxGet(tx, p.Account, p.Region, token.TaskID(i))
		switch {
		case err != nil || !found:
			return tasks, i > 0, err
		case t.Request != token.Request:
			return nil, true, ecsapi.ConflictException("The RunTask request could not be processed due to conflicts. The provided clientToken is already in use with a different RunTask request.")
		}
		tasks = append(tasks, t.Task)
	}
}
