package secretsmanager

import (
	"context"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/identity"
)

// RotateSecret is refused: a rotation is a Lambda function's work, and no
// function can be called here. The words are AWS's for a function that Secrets
// Manager cannot call.
func (s *Service) RotateSecret(ctx context.Context, in *api.RotateSecretInput) (*api.RotateSecretOutput, error) {
	if _, _, err := s.findActive(ctx, in.SecretId); err != nil {
		return nil, err
	}
	if in.ClientRequestToken == nil {
		return nil, api.InvalidRequestException("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	if aws.Val(in.RotationLambdaARN) == "" {
		return nil, api.InvalidRequestException("No Lambda rotation function ARN is associated with this secret.")
	}
	return nil, &aws.Error{Code: "AccessDeniedException", Message: "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com. (minato does not serve Lambda.)"}
}

// CancelRotateSecret is refused: no secret is ever being rotated.
func (s *Service) CancelRotateSecret(ctx context.Context, in *api.CancelRotateSecretInput) (*api.CancelRotateSecretOutput, error) {
	if _, _, err := s.findActive(ctx, in.SecretId); err != nil {
		return nil, err
	}
	return nil, api.InvalidRequestException("You tried to cancel the rotation of a secret that doesn't have rotation enabled.")
}

func noReplicas(ctx context.Context) error {
	return api.InvalidParameterException("Replicas in other regions are not supported: this minato runs %s only (AddReplicaRegions).", identity.From(ctx).Region)
}
