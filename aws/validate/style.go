package validate

import (
	"fmt"
	"strings"

	"minato/aws"
)

// style is how a service words its findings.
type style struct {
	lower bool // members are shown with a small first letter
	fail  func(op *aws.Operation, found []finding) *aws.Error
}

// styles are the services with words of their own.
var styles = map[string]style{
	"ecs":  {fail: ecsError},
	"ecr":  {fail: ecrError},
	"logs": {fail: coral("InvalidParameterException")},
	"ec2":  {fail: ec2Error},
	"s3":   {fail: s3Error},
	"rds":  {fail: ec2Error},

	"secretsmanager":         {lower: true, fail: coral("ValidationException")},
	"ssm":                    {lower: true, fail: coral("ValidationException")},
	"applicationautoscaling": {lower: true, fail: coral("ValidationException")},
	"cloudwatch":             {lower: true, fail: cloudwatchError},
}

// styleOf returns the service's style; the query services say ValidationError,
// the JSON services ValidationException.
func styleOf(svc *aws.Service) style {
	if s, ok := styles[svc.Name]; ok {
		return s
	}
	if svc.Protocols[0] == aws.Query {
		return style{lower: true, fail: coral("ValidationError")}
	}
	return style{fail: coral("ValidationException")}
}

func (s style) member(m *aws.Member) string {
	if s.lower {
		return strings.ToLower(m.Name[:1]) + m.Name[1:]
	}
	return m.Name
}

// words is the constraint as AWS's framework puts it.
func (f finding) words() string {
	switch f.constraint {
	case required:
		return "Member must not be null"
	case minLength:
		return "Member must have length greater than or equal to " + f.limit
	case maxLength:
		return "Member must have length less than or equal to " + f.limit
	case minValue:
		return "Member must have value greater than or equal to " + f.limit
	case maxValue:
		return "Member must have value less than or equal to " + f.limit
	case pattern:
		return "Member must satisfy regular expression pattern: " + f.limit
	}
	return "Member must satisfy enum value set: " + f.limit
}

// coral words all findings in one sentence, as most services do.
func coral(code string) func(*aws.Operation, []finding) *aws.Error {
	return func(_ *aws.Operation, found []finding) *aws.Error {
		parts := make([]string, len(found))
		for i, f := range found {
			value := f.value
			if value != "" {
				value += " "
			}
			parts[i] = fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: %s", value, f.path, f.words())
		}
		plural := "error"
		if len(found) > 1 {
			plural = "errors"
		}
		return aws.Errorf(code, "%d validation %s detected: %s", len(found), plural, strings.Join(parts, "; "))
	}
}

// ecsError uses ClientException for task definitions, as ECS does, and
// InvalidParameterException for the rest.
func ecsError(op *aws.Operation, found []finding) *aws.Error {
	code := "InvalidParameterException"
	if strings.HasSuffix(op.Name, "TaskDefinition") {
		code = "ClientException"
	}
	if found[0].constraint == required {
		return aws.Errorf(code, "%s should not be null or empty.", found[0].path)
	}
	return coral(code)(op, found)
}

// ecrError is ECR's own wording, one finding at a time.
func ecrError(_ *aws.Operation, found []finding) *aws.Error {
	f := found[0]
	words := f.words()
	switch f.constraint {
	case pattern:
		words = "must satisfy regular expression '" + f.limit + "'"
	default:
		words = strings.TrimPrefix(words, "Member ")
	}
	return aws.Errorf("InvalidParameterException", "Invalid parameter at '%s' failed to satisfy constraint: '%s'", f.path, words)
}

// cloudwatchError names a parameter that is missing in CloudWatch's own words;
// the rest is the framework's.
func cloudwatchError(op *aws.Operation, found []finding) *aws.Error {
	if f := found[0]; f.constraint == required {
		e := aws.Errorf("MissingParameter", "The parameter %s is required.", f.parameter)
		e.Shape = "MissingRequiredParameterException"
		return e
	}
	return coral("ValidationError")(op, found)
}

// s3Error is S3's: what is wrong in a body is malformed XML, elsewhere the first
// finding by the name of the argument.
func s3Error(op *aws.Operation, found []finding) *aws.Error {
	f := found[0]
	top, _, inBody := strings.Cut(f.path, ".")
	switch {
	case inBody || f.constraint == required && top != op.InputShape.Payload:
		if top == "Bucket" || top == "Key" || !inBody {
			return aws.Errorf("InvalidRequest", "Missing required parameter: %s", top)
		}
		return aws.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	case f.constraint == required:
		return aws.Errorf("MissingRequestBodyError", "Request Body is empty")
	}
	e := aws.Errorf("InvalidArgument", "Invalid argument: %s", f.words())
	e.Fields = map[string]any{"ArgumentName": f.path, "ArgumentValue": strings.Trim(f.value, "'")}
	return e
}

// ec2Error is EC2's and RDS's: the first finding, by the parameter's name.
func ec2Error(_ *aws.Operation, found []finding) *aws.Error {
	f := found[0]
	value := strings.Trim(f.value, "'")
	switch f.constraint {
	case required:
		return aws.Errorf("MissingParameter", "The request must contain the parameter %s", f.parameter)
	case minValue, minLength:
		return aws.Errorf("InvalidParameterValue", "Value ( %s ) for parameter %s is invalid. Expecting a value greater than or equal to %s.", value, f.parameter, f.limit)
	case maxValue, maxLength:
		return aws.Errorf("InvalidParameterValue", "Value ( %s ) for parameter %s is invalid. Expecting a value less than or equal to %s.", value, f.parameter, f.limit)
	}
	return aws.Errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, f.parameter)
}
