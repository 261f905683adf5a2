package exec

import (
	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// CheckConfiguration refuses what a cluster's configuration asks for and minato
// does not do, and what AWS does not take.
func CheckConfiguration(c *ecsapi.ClusterConfiguration) error {
	if c == nil {
		return nil
	}
	notServed := func(what string) error { return ecsapi.UnsupportedFeatureException("%s: not served by minato", what) }
	if name, asked := aws.Asked(c, "ManagedStorageConfiguration"); asked {
		return notServed("the cluster's " + name)
	}
	e := c.ExecuteCommandConfiguration
	if e == nil {
		return nil
	}
	if aws.Val(e.KmsKeyId) != "" {
		return notServed("the execute command configuration's kmsKeyId")
	}
	l := e.LogConfiguration
	switch override := aws.Val(e.Logging) == ecsapi.ExecuteCommandLoggingOverride; {
	case override && l == nil:
		return ecsapi.InvalidParameterException("The logConfiguration is required when execute command logging is OVERRIDE.")
	case !override && l != nil:
		return ecsapi.InvalidParameterException("The execute command logging must be OVERRIDE when a logConfiguration is specified.")
	case l == nil:
		return nil
	case aws.Val(l.S3BucketName) != "" || aws.Val(l.S3KeyPrefix) != "" || aws.Val(l.S3EncryptionEnabled):
		return notServed("the execute command configuration's logging to Amazon S3")
	case aws.Val(l.CloudWatchEncryptionEnabled):
		return notServed("the execute command configuration's cloudWatchEncryptionEnabled")
	case aws.Val(l.CloudWatchLogGroupName) == "":
		return ecsapi.InvalidParameterException("The logConfiguration must name a CloudWatch log group.")
	}
	return nil
}

// LogGroup is where a session's transcript goes: the cluster's own choice, or by
// default the group of the container's awslogs options; "" for nowhere.
func LogGroup(c *ecsapi.ClusterConfiguration, awslogsGroup string) string {
	logging := ecsapi.ExecuteCommandLoggingDefault
	if c != nil && c.ExecuteCommandConfiguration != nil {
		if l := aws.Val(c.ExecuteCommandConfiguration.Logging); l != "" {
			logging = l
		}
	}
	switch logging {
	case ecsapi.ExecuteCommandLoggingNone:
		return ""
	case ecsapi.ExecuteCommandLoggingOverride:
		return aws.Val(c.ExecuteCommandConfiguration.LogConfiguration.CloudWatchLogGroupName)
	}
	return awslogsGroup
}
