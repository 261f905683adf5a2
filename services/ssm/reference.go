package ssm

import (
	"context"
	"encoding/json"

	"minato/aws"
	secretsapi "minato/aws/api/secretsmanager"
	api "minato/aws/api/ssm"
)

// referencePrefix begins the names of secrets of Secrets Manager, which are
// read through the parameter store with the caller's own rights.
const referencePrefix = "/aws/reference/secretsmanager/"

// shortestVersion is the shortest id a secret's version can have; a shorter
// selector is a label.
const shortestVersion = 32

// reference reads a secret as if it were a parameter.
func (s *Service) reference(ctx context.Context, secret, selector string, decrypt bool) (*api.Parameter, error) {
	name := referencePrefix + secret
	if !decrypt {
		return nil, invalid("WithDecryption flag must be True for retrieving a Secret Manager secret.")
	}
	in := &secretsapi.GetSecretValueInput{SecretId: &secret}
	switch {
	case selector == "":
	case len(selector) >= shortestVersion:
		in.VersionId = &selector
	default:
		in.VersionStage = &selector
	}
	v, err := s.Secrets.GetSecretValue(ctx, in)
	switch {
	case aws.IsCode(err, "ResourceNotFoundException"):
		return nil, api.ParameterNotFound("An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret %s not found.", name).Because(err)
	case aws.IsCode(err, "AccessDeniedException"):
		return nil, err
	case err != nil:
		e := aws.AsError(err)
		if e.HTTPStatus() >= 500 {
			return nil, err
		}
		return nil, invalid("An error occurred (%s) when referencing Secrets Manager: %s", e.Code, e.Message)
	case v.SecretString == nil:
		return nil, invalid("An error occurred (InvalidRequestException) when referencing Secrets Manager: the secret %s is binary.", name)
	}
	about, err := json.Marshal(map[string]any{
		"ARN": v.ARN, "name": v.Name, "versionId": v.VersionId, "versionStages": v.VersionStages, "createdDate": v.CreatedDate,
	})
	if err != nil {
		return nil, aws.Internal(err)
	}
	out := &api.Parameter{
		ARN: aws.Ptr(place(ctx).Parameter(name)), Name: &name, Type: aws.Ptr(api.ParameterTypeSecureString), Value: v.SecretString, Version: aws.Ptr[int64](0),
		DataType: aws.Ptr(textType), LastModifiedDate: v.CreatedDate, SourceResult: aws.Ptr(string(about)),
	}
	if selector != "" {
		out.Selector = aws.Ptr(":" + selector)
	}
	return out, nil
}
