package iam

import (
	"context"
	"reflect"

	"minato/aws"
	"minato/gateway"
)

// checks names the entity that an operation is about: a permission on
// user/team/* must count. An input is not validated yet when this runs.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := gateway.Check{Action: op.Action(), Resource: s.resource(ctx, op, in), Context: map[string][]string{}}
	if p := field(in, "PolicyArn"); p != "" && c.Resource != p {
		c.Context["iam:PolicyARN"] = []string{p}
	}
	if b := field(in, "PermissionsBoundary"); b != "" {
		c.Context["iam:PermissionsBoundary"] = []string{b}
	}
	out := []gateway.Check{c}
	if op.Name == "AddRoleToInstanceProfile" {
		out = append(out, gateway.Check{
			Action: "iam:PassRole", Resource: s.entityARN(ctx, "role", field(in, "RoleName"), ""),
			Context: map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}},
		})
	}
	if op.Name == "CreateServiceLinkedRole" {
		out[0].Context["iam:AWSServiceName"] = []string{field(in, "AWSServiceName")}
	}
	return out
}

// lists are the kinds that list operations are about: for IAM they ask for a
// path of them.
var lists = map[string]string{"ListUsers": "user", "ListGroups": "group", "ListRoles": "role", "ListPolicies": "policy", "ListInstanceProfiles": "instance-profile", "ListServerCertificates": "server-certificate"}

// resource is the ARN of the entity an operation is about, or "*".
func (s *Service) resource(ctx context.Context, op *aws.Operation, in any) string {
	path := field(in, "Path")
	if kind := lists[op.Name]; kind != "" {
		prefix := field(in, "PathPrefix")
		return arnOf(account(ctx), kind, pathOr(&prefix), "")
	}
	if source := field(in, "PolicySourceArn"); source != "" {
		return source
	}
	for _, kind := range []struct{ field, kind string }{
		// The first that the input has is what the operation is about:
		// AddUserToGroup is about the group, AttachRolePolicy about the role.
		{"GroupName", "group"}, {"InstanceProfileName", "instance-profile"}, {"ServerCertificateName", "server-certificate"}, {"RoleName", "role"}, {"UserName", "user"},
	} {
		if name := field(in, kind.field); name != "" {
			return s.entityARN(ctx, kind.kind, name, path)
		}
	}
	if name := field(in, "AWSServiceName"); name != "" {
		return arnOf(account(ctx), "role", linkedPath+name+"/", linkedRoles[name].name)
	}
	if p := field(in, "PolicyArn"); p != "" {
		return p
	}
	if name := field(in, "PolicyName"); name != "" {
		return arnOf(account(ctx), "policy", pathOr(&path), name)
	}
	if _, has := reflect.TypeOf(in).Elem().FieldByName("UserName"); has && op.Name != "CreateUser" {
		if name, err := ownName(ctx, nil); err == nil {
			return s.entityARN(ctx, "user", name, "")
		}
	}
	return "*"
}

// entityARN is the ARN of an entity with the path it really has; one that does
// not exist has the path asked for.
func (s *Service) entityARN(ctx context.Context, kind, name, path string) string {
	var a *string
	var err error
	acct := account(ctx)
	switch kind {
	case "user":
		var u user
		u, _, err = s.users.Get(ctx, acct, global, fold(name))
		a = u.Arn
	case "group":
		var g group
		g, _, err = s.groups.Get(ctx, acct, global, fold(name))
		a = g.Arn
	case "role":
		var r role
		r, _, err = s.roles.Get(ctx, acct, global, fold(name))
		a = r.Arn
	case "instance-profile":
		var p profile
		p, _, err = s.profiles.Get(ctx, acct, global, fold(name))
		a = p.Arn
	case "server-certificate":
		var c serverCertificate
		if c, _, err = s.certificates.Get(ctx, acct, global, fold(name)); c.ServerCertificateMetadata != nil {
			a = c.ServerCertificateMetadata.Arn
		}
	}
	if err != nil || a == nil {
		return arnOf(acct, kind, pathOr(&path), name)
	}
	return *a
}

// field reads a *string member of an input by name.
func field(in any, name string) string {
	f := reflect.ValueOf(in).Elem().FieldByName(name)
	if !f.IsValid() {
		return ""
	}
	s, _ := f.Interface().(*string)
	return aws.Val(s)
}
