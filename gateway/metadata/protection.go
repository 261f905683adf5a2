package metadata

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/internal/ids"
)

// Protector is the part of ECS's API by which a task protects itself.
type Protector interface {
	GetTaskProtection(ctx context.Context, in *ecsapi.GetTaskProtectionInput) (*ecsapi.GetTaskProtectionOutput, error)
	UpdateTaskProtection(ctx context.Context, in *ecsapi.UpdateTaskProtectionInput) (*ecsapi.UpdateTaskProtectionOutput, error)
}

// protectionTimeout bounds a call of ECS, as the agent's.
const protectionTimeout = 4 * time.Second

// protectionAnswer is what the endpoint of task protection answers: one of its
// members.
type protectionAnswer struct {
	RequestID  *string          `json:"requestID,omitempty"`
	Protection *protectedTask   `json:"protection,omitempty"`
	Failure    *protectFailure  `json:"failure,omitempty"`
	Error      *protectionError `json:"error,omitempty"`
}

type protectedTask struct {
	ExpirationDate    *time.Time
	ProtectionEnabled *bool
	TaskArn           *string
}

type protectFailure struct {
	Arn    *string
	Detail *string
	Reason *string
}

type protectionError struct {
	Arn     string `json:"Arn,omitempty"`
	Code    string
	Message string
}

// protection answers GET and PUT of /api/<id>/task-protection/v1/state: it calls
// ECS as the task role, which must be allowed to.
func (s *Server) protection(w http.ResponseWriter, r *http.Request, eni string) {
	refuse := func(status int, arn, code, message string) {
		writeJSON(w, status, protectionAnswer{Error: &protectionError{arn, code, message}})
	}
	var wanted struct {
		ProtectionEnabled *bool
		ExpiresInMinutes  *int64
	}
	if r.Method == http.MethodPut {
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
		d.DisallowUnknownFields()
		if err := d.Decode(&wanted); err != nil {
			refuse(http.StatusBadRequest, "", "InvalidParameterException", "UpdateTaskProtection: failed to decode request")
			return
		}
	}
	var t *Task
	var err error
	if s.Tasks != nil {
		t, err = s.Tasks.Task(r.Context(), eni, r.PathValue("id"))
	}
	switch {
	case err != nil:
		s.Log.Error("metadata request failed", "path", r.URL.Path, "error", err)
		refuse(http.StatusInternalServerError, "", "ServerException", "Failed to find a task for the request")
		return
	case t == nil:
		refuse(http.StatusNotFound, "", "ResourceNotFoundException", "Failed to find a task for the request")
		return
	case r.Method == http.MethodPut && wanted.ProtectionEnabled == nil:
		refuse(http.StatusBadRequest, t.TaskARN, "InvalidParameterException", "Invalid request: does not contain 'ProtectionEnabled' field")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), protectionTimeout)
	defer cancel()
	as, err := s.Tasks.AsTaskRole(ctx, eni, r.PathValue("id"))
	if err != nil || as == nil {
		refuse(http.StatusForbidden, t.TaskARN, "AccessDeniedException", "Invalid Request: no task IAM role credentials available for task")
		return
	}
	tasks, failures, err := s.callProtection(as, r.Method, t, wanted.ProtectionEnabled, wanted.ExpiresInMinutes)
	switch {
	case err != nil:
		e := aws.AsError(err)
		id := ids.UUID()
		writeJSON(w, e.HTTPStatus(), protectionAnswer{RequestID: &id, Error: &protectionError{t.TaskARN, e.Code, e.Message}})
	case len(failures) > 0:
		f := failures[0]
		writeJSON(w, http.StatusOK, protectionAnswer{Failure: &protectFailure{f.Arn, f.Detail, f.Reason}})
	case len(tasks) > 0:
		p := tasks[0]
		writeJSON(w, http.StatusOK, protectionAnswer{Protection: &protectedTask{p.ExpirationDate, p.ProtectionEnabled, p.TaskArn}})
	default:
		refuse(http.StatusInternalServerError, t.TaskARN, "ServerException", "Unexpected error occurred")
	}
}

// callProtection calls ECS.
func (s *Server) callProtection(ctx context.Context, method string, t *Task, enabled *bool, minutes *int64) ([]ecsapi.ProtectedTask, []ecsapi.Failure, error) {
	if method == http.MethodGet {
		out, err := s.ECS.GetTaskProtection(ctx, &ecsapi.GetTaskProtectionInput{Cluster: &t.Cluster, Tasks: []string{t.TaskARN}})
		if err != nil {
			return nil, nil, err
		}
		return out.ProtectedTasks, out.Failures, nil
	}
	in := &ecsapi.UpdateTaskProtectionInput{Cluster: &t.Cluster, Tasks: []string{t.TaskARN}, ProtectionEnabled: enabled}
	if minutes != nil {
		// What does not fit is as wrong as what ECS refuses.
		in.ExpiresInMinutes = aws.Ptr(int32(min(max(*minutes, -1), 1<<30)))
	}
	out, err := s.ECS.UpdateTaskProtection(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	return out.ProtectedTasks, out.Failures, nil
}
