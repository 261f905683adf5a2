package ecr

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"minato/aws"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/dataplane/registry"
	"minato/gateway"
)

// The names of a registry, which say whose it is.
var (
	hostForm      = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$`)
	dualStackForm = regexp.MustCompile(`^(\d{12})\.dkr-ecr\.([a-z0-9-]+)\.on\.aws$`)
)

// registryHost is the name of a registry.
func registryHost(place arn.Place) string {
	return place.Account + ".dkr.ecr." + place.Region + ".amazonaws.com"
}

// IsRegistryHost tells whether a host name (without port) is one of a
// registry of this instance's region.
func (s *Service) IsRegistryHost(host string) bool {
	m := hostForm.FindStringSubmatch(host)
	if m == nil {
		m = dualStackForm.FindStringSubmatch(host)
	}
	return m != nil && m[2] == s.deps.Region
}

// placeOf returns whose registry a host is; by any other name than AWS's it is
// the default account's.
func (s *Service) placeOf(host string) arn.Place {
	for _, form := range []*regexp.Regexp{hostForm, dualStackForm} {
		if m := form.FindStringSubmatch(host); m != nil {
			return arn.In(m[2], m[1])
		}
	}
	return arn.In(s.deps.Region, s.deps.Account)
}

// permissions are what IAM is asked for each thing a client does.
var permissions = map[registry.Action]string{
	registry.CheckBlob:      "ecr:BatchCheckLayerAvailability",
	registry.ReadBlob:       "ecr:GetDownloadUrlForLayer",
	registry.ReadManifest:   "ecr:BatchGetImage",
	registry.ListTags:       "ecr:ListImages",
	registry.StartUpload:    "ecr:InitiateLayerUpload",
	registry.WriteUpload:    "ecr:UploadLayerPart",
	registry.CompleteUpload: "ecr:CompleteLayerUpload",
	registry.WriteManifest:  "ecr:PutImage",
	registry.Delete:         "ecr:BatchDeleteImage",
}

// registryAuthorizer is what the registry asks.
type registryAuthorizer struct{ s *Service }

// Authorize implements registry.Authorizer: a token of GetAuthorizationToken,
// and then IAM.
func (a registryAuthorizer) Authorize(r *http.Request, action registry.Action, repo registry.Repository) (context.Context, error) {
	ctx := r.Context()
	challenge := `Basic realm="https://` + repo.Host + `/",service="ecr.amazonaws.com"`
	if token := r.URL.Query().Get(downloadToken); token != "" && action == registry.ReadBlob {
		caller, err := a.s.openToken(ctx, token, r.URL.Path)
		if err != nil {
			return nil, registry.ErrDenied("The download URL is not valid, or its hour is over.")
		}
		return identity.With(ctx, caller), nil
	}
	user, pass, ok := r.BasicAuth()
	if !ok || user != "AWS" {
		return nil, registry.ErrUnauthorized(challenge, "no basic auth credentials")
	}
	caller, err := a.s.openToken(ctx, pass, "")
	if errors.Is(err, errExpired) {
		return nil, registry.ErrDenied("Your authorization token has expired. Reauthenticate and try again.")
	}
	if err != nil {
		a.s.log.Debug("a registry login was refused", "error", err)
		return nil, registry.ErrUnauthorized(challenge, "Not Authorized")
	}
	caller.UserAgent, caller.Endpoint = r.UserAgent(), gateway.Passed(ctx)
	place := a.s.placeOf(repo.Host)
	caller.Region = place.Region
	ctx = identity.With(ctx, caller)
	permission, ok := permissions[action]
	if !ok {
		return ctx, nil // logging in needs no right but the one to get the token
	}
	check := gateway.Check{Action: permission, Resource: place.ECRRepository(repo.Name)}
	if check.Context, check.ResourcePolicy, err = a.s.conditions(ctx, place, repo.Name); err != nil {
		return nil, err
	}
	if err := a.s.deps.Authorizer.Authorize(ctx, caller, check); err != nil {
		var e *aws.Error
		if errors.As(err, &e) && e.HTTPStatus() < 500 {
			return nil, registry.ErrDenied(e.Message)
		}
		return nil, err
	}
	return ctx, nil
}
