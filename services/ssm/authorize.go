package ssm

import (
	"context"
	"strconv"
	"strings"

	"minato/aws"
	api "minato/aws/api/ssm"
	"minato/aws/arn"
	"minato/gateway"
)

// checks is what IAM is asked for a call: the operation's own action on each
// parameter that it names, with the parameter's tags.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	p := place(ctx)
	var names []string
	switch in := in.(type) {
	case *api.DescribeParametersInput:
		return []gateway.Check{{Action: op.Action(), Resource: p.Of("ssm", "*")}}
	case *api.GetParametersInput:
		names = in.Names
	case *api.DeleteParametersInput:
		names = in.Names
	case *api.GetParametersByPathInput:
		// A path is a resource as it is written, with or without a last slash.
		c := gateway.Check{Action: op.Action(), Resource: p.Parameter(aws.Val(in.Path)), Context: map[string][]string{}}
		c.Context["ssm:Recursive"] = []string{strconv.FormatBool(aws.Val(in.Recursive))}
		return []gateway.Check{c}
	default:
		names = []string{aws.Text(in, "Name") + aws.Text(in, "ResourceId")}
	}
	if len(names) == 0 {
		return []gateway.Check{{Action: op.Action(), Resource: p.Of("ssm", "*")}}
	}
	var out []gateway.Check
	for _, n := range names {
		c := gateway.Check{Action: op.Action(), Context: map[string][]string{}}
		name, _ := split(n)
		switch {
		case strings.HasPrefix(name, publicPrefix):
			public := p
			public.Account = ""
			c.Resource = public.Parameter(name)
		case arn.Is(name):
			c.Resource = name
		default:
			c.Resource = p.Parameter(name)
		}
		// A parameter that cannot be read has no tags here; the operation fails
		// for the same reason.
		if r, found, err := s.find(ctx, name); err == nil && found {
			for _, t := range r.Tags {
				c.Context["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
				c.Context["ssm:resourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			}
		}
		out = append(out, requested(c, in)...)
	}
	return out
}

// requested adds the condition keys that a request itself gives.
func requested(c gateway.Check, in any) []gateway.Check {
	var tags []api.Tag
	switch in := in.(type) {
	case *api.PutParameterInput:
		c.Context["ssm:Overwrite"] = []string{strconv.FormatBool(aws.Val(in.Overwrite))}
		tags = in.Tags
	case *api.AddTagsToResourceInput:
		tags = in.Tags
	case *api.RemoveTagsFromResourceInput:
		c.Context["aws:TagKeys"] = in.TagKeys
	}
	for _, t := range tags {
		c.Context["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		c.Context["aws:TagKeys"] = append(c.Context["aws:TagKeys"], aws.Val(t.Key))
	}
	out := []gateway.Check{c}
	if _, put := in.(*api.PutParameterInput); put && len(tags) > 0 {
		c.Action = "ssm:AddTagsToResource"
		out = append(out, c)
	}
	return out
}
