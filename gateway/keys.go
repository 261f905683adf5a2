package gateway

import (
	"context"
	"strings"
)

// temporaryPrefix begins the ids of temporary keys, as on AWS.
const temporaryPrefix = "ASIA"

// Keys asks one Authenticator for users' keys and another for temporary ones:
// IAM and STS each know their own.
type Keys struct {
	Users     Authenticator // services/iam
	Temporary Authenticator // services/sts
}

// Credential implements Authenticator.
func (k Keys) Credential(ctx context.Context, accessKeyID string) (Credential, error) {
	if strings.HasPrefix(accessKeyID, temporaryPrefix) {
		return k.Temporary.Credential(ctx, accessKeyID)
	}
	return k.Users.Credential(ctx, accessKeyID)
}
