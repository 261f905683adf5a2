package daemon

import (
	"context"

	"minato/aws"
	"minato/aws/identity"
	"minato/gateway"
)

// agents decides for the agents of ECS Exec, whose calls pass no gateway, and
// remembers what they are refused: AWS tells the user no more than "an internal
// error", `minato why` the right that is missing.
type agents struct {
	iam     gateway.Authorizer
	refused *gateway.Refusals
}

// Authorize implements gateway.Authorizer.
func (a agents) Authorize(ctx context.Context, caller identity.Caller, check gateway.Check) error {
	err := a.iam.Authorize(ctx, caller, check)
	if err != nil {
		e := aws.AsError(err)
		a.refused.Add(gateway.Refusal{Action: check.Action, Caller: caller.ARN, Code: e.Code, Message: e.Message})
	}
	return err
}
