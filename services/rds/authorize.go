package rds

import (
	"context"
	"reflect"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/gateway"
)

// checks is what IAM is asked for a call: the operation's action on every
// resource that the call is about, with the tags these have and are given.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	p := here(ctx)
	resources := about(p, in)
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	requested := requestTags(in)
	var out []gateway.Check
	for _, resource := range resources {
		check := gateway.Check{Action: op.Action(), Resource: resource, Context: map[string][]string{}}
		for _, t := range requested {
			check.Context["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			check.Context["aws:TagKeys"] = append(check.Context["aws:TagKeys"], aws.Val(t.Key))
		}
		s.resourceTags(ctx, p, resource, check.Context)
		if create, ok := in.(*rdsapi.CreateDBInstanceInput); ok {
			check.Context["rds:DatabaseEngine"] = []string{strings.ToLower(aws.Val(create.Engine))}
			check.Context["rds:DatabaseClass"] = []string{aws.Val(create.DBInstanceClass)}
		}
		out = append(out, check)
	}
	return out
}

// about lists the ARNs of a call's resources, the one of the operation first.
func about(p arn.Place, in any) []string {
	if name := field(in, "ResourceName"); name != "" {
		return []string{name}
	}
	var out []string
	add := func(name string, build func(string) string) {
		switch {
		case name == "":
		case arn.Is(name):
			// Of an ARN the operations take the name, so the question is about
			// what has it here, wherever the ARN says that it is.
			a, _ := arn.Parse(name)
			out = append(out, build(strings.ToLower(a.ID())))
		default:
			out = append(out, build(strings.ToLower(name)))
		}
	}
	add(field(in, "DBInstanceIdentifier"), p.DBInstance)
	switch in.(type) {
	case *rdsapi.DescribeDBInstancesInput, *rdsapi.DescribeDBSnapshotsInput:
		if len(out) == 0 {
			out = append(out, p.DBInstance("*"))
		}
	}
	add(field(in, "DBSnapshotIdentifier"), p.DBSnapshot)
	add(field(in, "FinalDBSnapshotIdentifier"), p.DBSnapshot)
	add(field(in, "DBSubnetGroupName"), p.DBSubnetGroup)
	add(field(in, "DBParameterGroupName"), p.DBParameterGroup)
	return out
}

// field returns a string member of an input, "" if it has none of the name. The
// input is not validated yet.
func field(in any, name string) string {
	v := reflect.ValueOf(in).Elem().FieldByName(name)
	if !v.IsValid() {
		return ""
	}
	text, _ := v.Interface().(*string)
	return aws.Val(text)
}

func requestTags(in any) []rdsapi.Tag {
	v := reflect.ValueOf(in).Elem().FieldByName("Tags")
	if !v.IsValid() {
		return nil
	}
	tags, _ := v.Interface().([]rdsapi.Tag)
	return tags
}

// resourceTags adds the tags that a resource has.
func (s *Service) resourceTags(ctx context.Context, p arn.Place, resource string, to map[string][]string) {
	a, ok := arn.Parse(resource)
	if !ok {
		return
	}
	var tags []rdsapi.Tag
	var err error
	prefix := "rds:" + a.Kind() + "-tag/"
	switch id := a.ID(); a.Kind() {
	case "db":
		var rec instance
		rec, _, err = s.instances.Get(ctx, p.Account, p.Region, id)
		tags = rec.TagList
	case "snapshot":
		var rec snapshot
		rec, _, err = s.snapshots.Get(ctx, p.Account, p.Region, id)
		tags = rec.TagList
	case "subgrp":
		var rec subnetGroup
		rec, _, err = s.subnetGroups.Get(ctx, p.Account, p.Region, id)
		tags = rec.Tags
	case "pg":
		var rec parameterGroup
		rec, _, err = s.parameterGroups.Get(ctx, p.Account, p.Region, id)
		tags = rec.Tags
	}
	if err != nil {
		s.Log.Warn("authorizing without a resource's tags", "resource", resource, "error", err)
		return
	}
	for _, t := range tags {
		to["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		to[prefix+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
	}
}
