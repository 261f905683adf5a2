package ecs

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/services/ecs/definition"
	"minato/services/ecs/listing"
	"minato/services/ecs/record"
	"minato/services/ecs/reference"
	"minato/services/ecs/secrets"
	"minato/services/ecs/tag"
	"minato/services/ecs/view"
	"minato/store"
)

// RegisterTaskDefinition adds a revision to a family.
func (s *Service) RegisterTaskDefinition(ctx context.Context, in *ecsapi.RegisterTaskDefinitionInput) (*ecsapi.RegisterTaskDefinitionOutput, error) {
	if err := tag.Check(in.Tags); err != nil {
		return nil, err
	}
	d := record.TaskDefinition{Tags: in.Tags, TaskDefinition: ecsapi.TaskDefinition{
		Family: in.Family, ContainerDefinitions: slices.Clone(in.ContainerDefinitions), Cpu: in.Cpu, Memory: in.Memory,
		EnableFaultInjection: in.EnableFaultInjection, EphemeralStorage: in.EphemeralStorage, ExecutionRoleArn: in.ExecutionRoleArn,
		InferenceAccelerators: in.InferenceAccelerators, IpcMode: in.IpcMode, NetworkMode: in.NetworkMode, PidMode: in.PidMode,
		PlacementConstraints: in.PlacementConstraints, ProxyConfiguration: in.ProxyConfiguration,
		RequiresCompatibilities: in.RequiresCompatibilities, RuntimePlatform: in.RuntimePlatform,
		TaskRoleArn: in.TaskRoleArn, Volumes: in.Volumes, Status: aws.Ptr(statusActive),
	}}
	if err := definition.Check(&d.TaskDefinition); err != nil {
		return nil, err
	}
	if err := secrets.Check(&d.TaskDefinition); err != nil {
		return nil, err
	}
	definition.Fill(&d.TaskDefinition)
	p, caller := at(ctx), identity.From(ctx)
	d.RegisteredAt, d.RegisteredBy = s.now(), aws.Ptr(caller.ARN)
	for _, role := range []*string{d.ExecutionRoleArn, d.TaskRoleArn} {
		if role != nil && !arn.Is(*role) {
			*role = p.Role("/", *role) // a role may be named
		}
	}
	family := *in.Family
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		f, _, err := s.families.TxGet(tx, p.Account, p.Region, family)
		if err != nil {
			return err
		}
		f.Name = family
		f.Revision++
		d.Revision = aws.Ptr(f.Revision)
		d.TaskDefinitionArn = aws.Ptr(p.ECSTaskDefinition(family, strconv.Itoa(int(f.Revision))))
		if err := s.families.TxPut(tx, f, p.Account, p.Region, family); err != nil {
			return err
		}
		return s.definitions.TxPut(tx, d, d.IDs(p)...)
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.RegisterTaskDefinitionOutput{TaskDefinition: view.Definition(d.TaskDefinition), Tags: d.Tags}, nil
}

// definition finds the task definition that a reference means: a revision,
// active or not, or the family's last active one.
func (s *Service) definition(ctx context.Context, p arn.Place, text string) (record.TaskDefinition, bool, error) {
	family, revision, ok := reference.Definition(text)
	if !ok {
		return record.TaskDefinition{}, false, nil
	}
	if revision > 0 {
		return s.definitions.Get(ctx, record.DefinitionIDs(p, family, revision)...)
	}
	all, err := s.definitions.List(ctx, p.Account, p.Region, family)
	if err != nil {
		return record.TaskDefinition{}, false, err
	}
	for _, d := range slices.Backward(all) {
		if aws.Val(d.Status) == statusActive {
			return d, true, nil
		}
	}
	return record.TaskDefinition{}, false, nil
}

// runnableDefinition finds a task definition for new tasks.
func (s *Service) runnableDefinition(ctx context.Context, text string) (record.TaskDefinition, error) {
	d, found, err := s.definition(ctx, at(ctx), text)
	switch {
	case err != nil:
	case !found:
		err = ecsapi.ClientException("TaskDefinition not found.")
	case aws.Val(d.Status) != statusActive:
		err = ecsapi.ClientException("TaskDefinition is inactive")
	}
	return d, err
}

// DescribeTaskDefinition shows a task definition.
func (s *Service) DescribeTaskDefinition(ctx context.Context, in *ecsapi.DescribeTaskDefinitionInput) (*ecsapi.DescribeTaskDefinitionOutput, error) {
	d, found, err := s.definition(ctx, at(ctx), *in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ecsapi.ClientException("Unable to describe task definition.")
	}
	out := &ecsapi.DescribeTaskDefinitionOutput{TaskDefinition: view.Definition(d.TaskDefinition)}
	if slices.Contains(in.Include, "TAGS") {
		out.Tags = d.Tags
	}
	return out, nil
}

// DeregisterTaskDefinition makes a revision inactive; what runs of it runs on.
func (s *Service) DeregisterTaskDefinition(ctx context.Context, in *ecsapi.DeregisterTaskDefinitionInput) (*ecsapi.DeregisterTaskDefinitionOutput, error) {
	family, revision, ok := reference.Definition(*in.TaskDefinition)
	if !ok || revision == 0 {
		return nil, ecsapi.ClientException("Invalid revision number. Number: %s", afterColon(*in.TaskDefinition))
	}
	d, err := s.changeDefinition(ctx, family, revision, func(d *record.TaskDefinition) error {
		if aws.Val(d.Status) == statusActive {
			d.Status, d.DeregisteredAt = aws.Ptr(statusInactive), s.now()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.DeregisterTaskDefinitionOutput{TaskDefinition: view.Definition(d.TaskDefinition)}, nil
}

func afterColon(text string) string {
	_, number, _ := strings.Cut(text[strings.LastIndexByte(text, '/')+1:], ":")
	return cmp.Or(number, "null")
}

func (s *Service) changeDefinition(ctx context.Context, family string, revision int32, f func(d *record.TaskDefinition) error) (record.TaskDefinition, error) {
	var out record.TaskDefinition
	found, err := s.definitions.Update(ctx, func(d *record.TaskDefinition) error {
		err := f(d)
		out = *d
		return err
	}, record.DefinitionIDs(at(ctx), family, revision)...)
	if err == nil && !found {
		err = ecsapi.ClientException("The specified task definition does not exist.")
	}
	return out, err
}

// ListTaskDefinitions lists the ARNs of revisions, active ones unless asked
// otherwise.
func (s *Service) ListTaskDefinitions(ctx context.Context, in *ecsapi.ListTaskDefinitionsInput) (*ecsapi.ListTaskDefinitionsOutput, error) {
	p := at(ctx)
	status := aws.Val(in.Status)
	if status == "" {
		status = statusActive
	}
	ids := []string{p.Account, p.Region}
	if in.FamilyPrefix != nil { // it must match as a whole, in spite of its name
		ids = append(ids, *in.FamilyPrefix)
	}
	all, err := s.definitions.List(ctx, ids...)
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, d := range all {
		if aws.Val(d.Status) == status {
			arns = append(arns, *d.TaskDefinitionArn)
		}
	}
	if aws.Val(in.Sort) == "DESC" {
		slices.Reverse(arns)
	}
	arns, next, err := listing.Page(arns, in.NextToken, in.MaxResults, listing.Most)
	return &ecsapi.ListTaskDefinitionsOutput{TaskDefinitionArns: arns, NextToken: next}, err
}

// ListTaskDefinitionFamilies lists the names of families.
func (s *Service) ListTaskDefinitionFamilies(ctx context.Context, in *ecsapi.ListTaskDefinitionFamiliesInput) (*ecsapi.ListTaskDefinitionFamiliesOutput, error) {
	p := at(ctx)
	all, err := s.definitions.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	active := map[string]bool{}
	for _, d := range all {
		active[*d.Family] = active[*d.Family] || aws.Val(d.Status) == statusActive
	}
	names := []string{}
	for name, is := range active {
		status := statusInactive
		if is {
			status = statusActive
		}
		want := aws.Val(in.Status)
		if strings.HasPrefix(name, aws.Val(in.FamilyPrefix)) && (want == "" || want == "ALL" || want == status) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names, next, err := listing.Page(names, in.NextToken, in.MaxResults, listing.Most)
	return &ecsapi.ListTaskDefinitionFamiliesOutput{Families: names, NextToken: next}, err
}
