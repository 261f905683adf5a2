package cloudformation

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/arn"
)

// stackOf is the name in a stack's id.
func stackOf(id string) string {
	a, _ := arn.Parse(id)
	name, _, _ := strings.Cut(a.ID(), "/")
	return name
}

// ListExports lists the values that stacks export.
func (s *Service) ListExports(ctx context.Context, in *api.ListExportsInput) (*api.ListExportsOutput, error) {
	caller, _ := place(ctx)
	list, err := s.exports.List(ctx, caller.Account, caller.Region)
	if err != nil {
		return nil, err
	}
	items, next, err := page(list, in.NextToken, func(x exportRecord) string { return x.Name })
	if err != nil {
		return nil, err
	}
	out := &api.ListExportsOutput{Exports: []api.Export{}, NextToken: next}
	for _, x := range items {
		out.Exports = append(out.Exports, api.Export{ExportingStackId: aws.Ptr(x.StackID), Name: aws.Ptr(x.Name), Value: aws.Ptr(x.Value)})
	}
	return out, nil
}

// ListImports lists the stacks that import a value.
func (s *Service) ListImports(ctx context.Context, in *api.ListImportsInput) (*api.ListImportsOutput, error) {
	caller, _ := place(ctx)
	name := aws.Val(in.ExportName)
	if _, found, err := s.exports.Get(ctx, caller.Account, caller.Region, name); err != nil {
		return nil, err
	} else if !found {
		return nil, validation("Export '%s' does not exist.", name)
	}
	users, err := s.importers(ctx, caller.Account, caller.Region, name)
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, validation("Export '%s' is not imported by any stack.", name)
	}
	items, next, err := page(users, in.NextToken, func(n string) string { return n })
	return &api.ListImportsOutput{Imports: items, NextToken: next}, err
}

// importers returns the names of the stacks that import a value.
func (s *Service) importers(ctx context.Context, account, region, export string) ([]string, error) {
	list, err := s.stacks.List(ctx, account, region)
	var names []string
	for i := range list {
		if list[i].status() != api.StackStatusDeleteComplete && slices.Contains(list[i].Imports, export) {
			names = append(names, list[i].name())
		}
	}
	slices.Sort(names)
	return names, err
}
