package resources

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"minato/aws"
	"minato/internal/ids"
)

// CallError is the failure of a call of the API, with what CloudFormation's
// events say of it.
type CallError struct {
	Service   string // as the SDK for Java names it: Rds, Ec2
	RequestID string
	Err       *aws.Error
}

// Error implements error.
func (e *CallError) Error() string {
	return fmt.Sprintf("%s (Service: %s, Status Code: %d, Request ID: %s)", e.Err.Message, e.Service, e.Err.HTTPStatus(), e.RequestID)
}

// Unwrap returns the API's error.
func (e *CallError) Unwrap() error { return e.Err }

// Named is an Invoker whose errors are CallErrors.
func Named(invoker aws.Invoker) aws.Invoker { return &named{invoker} }

// named is an Invoker whose errors know the service they come from.
type named struct{ aws.Invoker }

// sdkNames are the services' names in messages.
var sdkNames = map[string]string{
	"rds": "Rds", "ec2": "Ec2", "ecs": "Ecs", "ecr": "Ecr", "iam": "Iam", "elbv2": "ElasticLoadBalancingV2",
	"logs": "CloudWatchLogs", "cloud9": "AWSCloud9", "sts": "Sts", "secretsmanager": "SecretsManager", "ssm": "Ssm", "cloudformation": "CloudFormation",
	"cloudwatch": "CloudWatch", "applicationautoscaling": "ApplicationAutoScaling", "s3": "S3",
}

// Invoke calls the operation.
func (n *named) Invoke(ctx context.Context, op *aws.Operation, in any) (any, error) {
	out, err := n.Invoker.Invoke(ctx, op, in)
	if err != nil {
		return nil, &CallError{Service: sdkNames[op.Service.Name], RequestID: ids.UUID(), Err: aws.AsError(err)}
	}
	return out, nil
}

// Reason is the failure of a step as events show it.
func Reason(err error, token string) string {
	message, code := err.Error(), "GeneralServiceException"
	var call *CallError
	if errors.As(err, &call) {
		code = handlerCode(call.Err)
	} else {
		var e *aws.Error
		if errors.As(err, &e) {
			message, code = e.Message, e.Code
		}
	}
	return fmt.Sprintf("Resource handler returned message: %q (RequestToken: %s, HandlerErrorCode: %s)", message, token, code)
}

// handlerCode is the code of the handlers' contract for an error of the API.
func handlerCode(e *aws.Error) string {
	code := e.Code
	switch {
	case e.OurFault():
		return "ServiceInternalError"
	case code == "AccessDenied" || code == "AccessDeniedException" || code == "UnauthorizedOperation":
		return "AccessDenied"
	case strings.Contains(code, "AlreadyExist") || strings.Contains(code, "Duplicate"):
		return "AlreadyExists"
	case strings.Contains(code, "NotFound") || code == "NoSuchEntity":
		return "NotFound"
	case strings.Contains(code, "LimitExceeded") || strings.Contains(code, "QuotaExceeded") || strings.HasPrefix(code, "TooMany"):
		return "ServiceLimitExceeded"
	case strings.Contains(code, "Throttl"):
		return "Throttling"
	}
	return "InvalidRequest"
}

// NotStabilized is the error for a resource that came to a state from which
// it will not become ready.
func NotStabilized(format string, args ...any) error {
	return aws.Errorf("NotStabilized", format, args...)
}
