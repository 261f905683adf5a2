package awslogs

import (
	"context"
	"fmt"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/aws/identity"
	"minato/services/ecs/reach"
)

// In gives a context's caller the region that the options name: the log group is
// looked for there.
func (o Options) In(ctx context.Context) context.Context {
	c := identity.From(ctx)
	if o.Region != "" {
		c.Region = o.Region
	}
	return identity.With(ctx, c)
}

// Prepare makes the log stream, and the group if the options say so. Its error
// is the reason of a task that cannot start, as Fargate puts it.
func (o Options) Prepare(ctx context.Context, logs logsapi.API, stream string) error {
	ctx = o.In(ctx)
	if o.CreateGroup {
		_, err := logs.CreateLogGroup(ctx, &logsapi.CreateLogGroupInput{LogGroupName: &o.Group})
		if err != nil && !aws.IsCode(err, "ResourceAlreadyExistsException") {
			return called("create log group", "failed to create Cloudwatch log group", err)
		}
	}
	_, err := logs.CreateLogStream(ctx, &logsapi.CreateLogStreamInput{LogGroupName: &o.Group, LogStreamName: &stream})
	if err != nil && !aws.IsCode(err, "ResourceAlreadyExistsException") {
		return called("create stream", "failed to create Cloudwatch log stream", err)
	}
	return nil
}

const invalidArgs = "ResourceInitializationError: failed to validate logger args: "

func called(step, what string, err error) error {
	e := aws.AsError(err)
	return fmt.Errorf(invalidArgs+"%s has been retried 1 times: %s: %s: %s : exit status 1", step, what, e.Code, e.Message)
}

// Unreached is the reason of a task whose interface does not reach CloudWatch
// Logs' host at an address.
func Unreached(host, address string, cause error) string {
	return fmt.Sprintf(invalidArgs+"create stream has been retried 1 times: failed to create Cloudwatch log stream: RequestError: send request failed caused by: Post \"https://%s/\": dial tcp %s: %s : exit status 1",
		host, address, reach.Why(cause))
}

// Refused is the reason of a task whose options the driver does not take.
func Refused(err error) string { return invalidArgs + err.Error() + " : exit status 1" }
