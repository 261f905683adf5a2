package ecs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/store"
)

// clientToken is RunTask's, of one caller in one cluster. The ids of its tasks
// follow from it: whoever comes second with it, even at the same moment, finds
// the first one's tasks in their place.
type clientToken struct {
	text    string // "" for none
	Request string // tells a request from others with the same token
}

func tokenOf(ctx context.Context, cluster string, in *ecsapi.RunTaskInput) (clientToken, error) {
	if in.ClientToken == nil {
		return clientToken{}, nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return clientToken{}, err
	}
	return clientToken{text: identity.From(ctx).PrincipalID + "/" + cluster + "/" + *in.ClientToken, Request: tokenHash(string(b))}, nil
}

// taskID is the id of a token's task by its number, "" for any.
func (c clientToken) taskID(i int) string {
	if c.text == "" {
		return ""
	}
	return tokenHash(fmt.Sprint(i, "/", c.text))[:taskIDLength]
}

func tokenHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// tasksOfToken are the tasks that a client token has made before.
func (s *Service) tasksOfToken(tx *store.Tx, p arn.Place, token clientToken) (tasks []ecsapi.Task, found bool, err error) {
	if token.text == "" {
		return nil, false, nil
	}
	for i := 0; ; i++ {
		t, found, err := s.tasks.TxGet(tx, p.Account, p.Region, token.taskID(i))
		switch {
		case err != nil || !found:
			return tasks, i > 0, err
		case t.Request != token.Request:
			return nil, true, ecsapi.ConflictException("The RunTask request could not be processed due to conflicts. The provided clientToken is already in use with a different RunTask request.")
		}
		tasks = append(tasks, t.Task)
	}
}
