package iam

import (
	"context"
	"testing"

	"minato/aws/identity"
	"minato/gateway"
)

// TestEndpointPolicies: what comes through a VPC endpoint needs its policy too,
// as far as it is for the endpoint's service and comes from the caller himself.
func TestEndpointPolicies(t *testing.T) {
	h := newHouse(t)
	const bucket = "arn:aws:s3:::mine/key"
	through := func(c identity.Caller, policy string) identity.Caller {
		c.Endpoint = &identity.Endpoint{ID: "vpce-1", VPC: "vpc-1", Policy: policy, Signing: "s3", Actions: "s3", Source: "10.0.0.9"}
		return c
	}
	admin := identity.From(h.admin)
	root := identity.Caller{Kind: identity.Root, Account: acct, ARN: "arn:aws:iam::" + acct + ":root"}
	const open, mine = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:Get*","Resource":"arn:aws:s3:::mine/*"}}`
	const fromHere = `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"},"NotIpAddress":{"aws:VpcSourceIp":"10.0.0.0/24"}}}]}`
	for name, c := range map[string]struct {
		caller           identity.Caller
		action, resource string
		denied           string
	}{
		"an open policy":          {through(admin, open), "s3:PutObject", bucket, ""},
		"what it allows":          {through(admin, mine), "s3:GetObject", bucket, ""},
		"another action":          {through(admin, mine), "s3:PutObject", bucket, "User: " + admin.ARN + " is not authorized to perform: s3:PutObject on resource: " + bucket + " because no VPC endpoint policy allows the s3:PutObject action"},
		"another resource":        {through(admin, mine), "s3:GetObject", "arn:aws:s3:::other/key", "User: " + admin.ARN + " is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::other/key because no VPC endpoint policy allows the s3:GetObject action"},
		"root":                    {through(root, mine), "s3:PutObject", bucket, "User: " + root.ARN + " is not authorized to perform: s3:PutObject on resource: " + bucket + " because no VPC endpoint policy allows the s3:PutObject action"},
		"a denial":                {through(admin, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"*"}]}`), "s3:PutObject", bucket, "User: " + admin.ARN + " is not authorized to perform: s3:PutObject on resource: " + bucket + " with an explicit deny in a VPC endpoint policy"},
		"another service":         {through(admin, mine), "iam:PassRole", "*", ""},
		"its keys":                {through(admin, fromHere), "s3:GetObject", bucket, ""},
		"a service forwards it":   {func() identity.Caller { c := through(admin, mine); c.Via = "cloudformation.amazonaws.com"; return c }(), "s3:PutObject", bucket, ""},
		"without an endpoint":     {admin, "s3:PutObject", bucket, ""},
		"who may not in any case": {through(identity.From(h.user("nobody-"+"s3")), open), "s3:GetObject", bucket, "User: arn:aws:iam::000000000000:user/nobody-s3 is not authorized to perform: s3:GetObject on resource: " + bucket + " because no identity-based policy allows the s3:GetObject action"},
	} {
		err := h.iam.Authorize(context.Background(), c.caller, gateway.Check{Action: c.action, Resource: c.resource})
		if c.denied == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { fails(t, err, "AccessDeniedException", c.denied) })
	}
}
