package rds

import (
	"context"
	"maps"
	"slices"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/store"
)

// parameterGroup is a record of "rds/parameter-group".
type parameterGroup struct {
	rdsapi.DBParameterGroup
	// LastUser is the instance that last chose the group. Writing it makes a
	// transaction that removes the group at the same moment fail, and look again.
	LastUser string                  `json:"lastUser,omitempty"`
	Tags     []rdsapi.Tag            `json:"tags,omitempty"`
	Values   map[string]setParameter `json:"values,omitempty"` // those that were set, by name
}

// setParameter is a parameter that somebody set.
type setParameter struct {
	Value     string `json:"value"`
	Immediate bool   `json:"immediate"`
}

func defaultGroupName(family string) string { return "default." + family }

// defaultGroup is a family's own group: it exists without having been made.
func defaultGroup(p arn.Place, family string) parameterGroup {
	name := defaultGroupName(family)
	return parameterGroup{DBParameterGroup: rdsapi.DBParameterGroup{
		DBParameterGroupName: aws.Ptr(name), DBParameterGroupFamily: aws.Ptr(family), DBParameterGroupArn: aws.Ptr(p.DBParameterGroup(name)),
		Description: aws.Ptr("Default parameter group for " + family),
	}}
}

// findParameterGroup returns a group, also a default one.
func (s *Service) findParameterGroup(ctx context.Context, p arn.Place, name string) (parameterGroup, error) {
	name = strings.ToLower(name)
	rec, found, err := s.parameterGroups.Get(ctx, p.Account, p.Region, name)
	if err != nil || found {
		return rec, err
	}
	if of, ok := strings.CutPrefix(name, "default."); ok {
		if _, known := familyEngine(of); known {
			return defaultGroup(p, of), nil
		}
	}
	return rec, noParameterGroup(name)
}

// CreateDBParameterGroup implements rdsapi.API.
func (s *Service) CreateDBParameterGroup(ctx context.Context, in *rdsapi.CreateDBParameterGroupInput) (*rdsapi.CreateDBParameterGroupOutput, error) {
	name, err := identifier("DBParameterGroupName", aws.Val(in.DBParameterGroupName), 255)
	if err != nil {
		return nil, err
	}
	of := strings.ToLower(aws.Val(in.DBParameterGroupFamily))
	if _, known := familyEngine(of); !known {
		return nil, invalidValue("ParameterGroupFamily %s is not a valid parameter group family", aws.Val(in.DBParameterGroupFamily))
	}
	if aws.Val(in.Description) == "" {
		return nil, invalidValue("The parameter Description must be provided and must not be blank.")
	}
	p := here(ctx)
	rec := parameterGroup{DBParameterGroup: rdsapi.DBParameterGroup{
		DBParameterGroupName: aws.Ptr(name), DBParameterGroupFamily: aws.Ptr(of), Description: in.Description, DBParameterGroupArn: aws.Ptr(p.DBParameterGroup(name)),
	}}
	if rec.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		_, found, err := s.parameterGroups.TxGet(tx, p.Account, p.Region, name)
		if err == nil && found {
			err = rdsapi.DBParameterGroupAlreadyExistsFault("Parameter group %s already exists", name)
		}
		if err != nil {
			return err
		}
		return s.parameterGroups.TxPut(tx, rec, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.CreateDBParameterGroupOutput{DBParameterGroup: &rec.DBParameterGroup}, nil
}

// DescribeDBParameterGroups implements rdsapi.API.
func (s *Service) DescribeDBParameterGroups(ctx context.Context, in *rdsapi.DescribeDBParameterGroupsInput) (*rdsapi.DescribeDBParameterGroupsOutput, error) {
	p := here(ctx)
	if in.DBParameterGroupName != nil {
		rec, err := s.findParameterGroup(ctx, p, *in.DBParameterGroupName)
		if err != nil {
			return nil, err
		}
		return &rdsapi.DescribeDBParameterGroupsOutput{DBParameterGroups: []rdsapi.DBParameterGroup{rec.DBParameterGroup}}, nil
	}
	all, err := s.parameterGroups.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	// Default groups appear when an instance first uses them.
	instances, err := s.instances.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	defaults := map[string]bool{}
	for _, i := range instances {
		if of, ok := strings.CutPrefix(i.ParameterGroup, "default."); ok && !defaults[of] {
			defaults[of] = true
			all = append(all, defaultGroup(p, of))
		}
	}
	slices.SortFunc(all, func(a, b parameterGroup) int {
		return strings.Compare(aws.Val(a.DBParameterGroupName), aws.Val(b.DBParameterGroupName))
	})
	if all, err = filter(all, in.Filters, nil); err != nil {
		return nil, err
	}
	all, marker, err := page(all, func(g parameterGroup) string { return aws.Val(g.DBParameterGroupName) }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &rdsapi.DescribeDBParameterGroupsOutput{DBParameterGroups: []rdsapi.DBParameterGroup{}, Marker: marker}
	for _, g := range all {
		out.DBParameterGroups = append(out.DBParameterGroups, g.DBParameterGroup)
	}
	return out, nil
}

// DescribeDBParameters implements rdsapi.API.
func (s *Service) DescribeDBParameters(ctx context.Context, in *rdsapi.DescribeDBParametersInput) (*rdsapi.DescribeDBParametersOutput, error) {
	group, err := s.findParameterGroup(ctx, here(ctx), aws.Val(in.DBParameterGroupName))
	if err != nil {
		return nil, err
	}
	engine, _ := familyEngine(aws.Val(group.DBParameterGroupFamily))
	var all []rdsapi.Parameter
	for _, name := range slices.Sorted(maps.Keys(engineParameters[engine])) {
		shown := engineParameters[engine][name].shown()
		if set, ok := group.Values[name]; ok {
			shown.ParameterValue, shown.Source = aws.Ptr(set.Value), aws.Ptr("user")
			if set.Immediate {
				shown.ApplyMethod = aws.Ptr("immediate")
			}
		}
		if in.Source == nil || aws.Val(shown.Source) == *in.Source {
			all = append(all, shown)
		}
	}
	all, err = filter(all, in.Filters, map[string]func(rdsapi.Parameter) string{
		"parameter-name": func(v rdsapi.Parameter) string { return aws.Val(v.ParameterName) },
	})
	if err != nil {
		return nil, err
	}
	all, marker, err := page(all, func(v rdsapi.Parameter) string { return aws.Val(v.ParameterName) }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	return &rdsapi.DescribeDBParametersOutput{Parameters: append([]rdsapi.Parameter{}, all...), Marker: marker}, nil
}

// ModifyDBParameterGroup implements rdsapi.API.
func (s *Service) ModifyDBParameterGroup(ctx context.Context, in *rdsapi.ModifyDBParameterGroupInput) (*rdsapi.ModifyDBParameterGroupOutput, error) {
	if len(in.Parameters) > 20 {
		return nil, invalidValue("The parameters list has %d entries; a request changes at most 20.", len(in.Parameters))
	}
	name, err := s.changeParameters(ctx, aws.Val(in.DBParameterGroupName), func(engine string, rec *parameterGroup) error {
		for _, wanted := range in.Parameters {
			known, err := modifiable(engine, wanted)
			if err != nil {
				return err
			}
			if wanted.ParameterValue == nil {
				return invalidValue("The parameter ParameterValue must be provided for: %s", known.name)
			}
			if err := known.check(*wanted.ParameterValue); err != nil {
				return err
			}
			if rec.Values == nil {
				rec.Values = map[string]setParameter{}
			}
			rec.Values[known.name] = setParameter{Value: *wanted.ParameterValue, Immediate: aws.Val(wanted.ApplyMethod) == "immediate"}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.ModifyDBParameterGroupOutput{DBParameterGroupName: aws.Ptr(name)}, nil
}

// ResetDBParameterGroup implements rdsapi.API.
func (s *Service) ResetDBParameterGroup(ctx context.Context, in *rdsapi.ResetDBParameterGroupInput) (*rdsapi.ResetDBParameterGroupOutput, error) {
	everything := aws.Val(in.ResetAllParameters)
	if everything && len(in.Parameters) > 0 {
		return nil, invalidCombination("ResetAllParameters and Parameters cannot both be specified.")
	}
	name, err := s.changeParameters(ctx, aws.Val(in.DBParameterGroupName), func(engine string, rec *parameterGroup) error {
		if everything || len(in.Parameters) == 0 {
			rec.Values = nil
		}
		for _, wanted := range in.Parameters {
			known, err := modifiable(engine, wanted)
			if err != nil {
				return err
			}
			delete(rec.Values, known.name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.ResetDBParameterGroupOutput{DBParameterGroupName: aws.Ptr(name)}, nil
}

// modifiable returns the parameter that a request names, if it may be changed
// in the way that it asks for.
func modifiable(engine string, wanted rdsapi.Parameter) (parameter, error) {
	name := aws.Val(wanted.ParameterName)
	known, ok := engineParameters[engine][name]
	switch {
	case name == "":
		return parameter{}, invalidValue("The parameter ParameterName must be provided and must not be blank.")
	case !ok:
		return parameter{}, invalidValue("Could not find parameter with name: %s", name)
	case !known.modifiable:
		return parameter{}, invalidValue("The parameter %s cannot be modified.", name)
	case !known.dynamic && aws.Val(wanted.ApplyMethod) == "immediate":
		return parameter{}, invalidCombination("cannot use immediate apply method for static parameter")
	}
	return known, nil
}

// changeParameters runs f on a group, and has the instances that use it looked at.
func (s *Service) changeParameters(ctx context.Context, name string, f func(engine string, rec *parameterGroup) error) (string, error) {
	p := here(ctx)
	// A default group's name has a dot: it is no name that could be changed.
	name, err := identifier("DBParameterGroupName", name, 255)
	if err != nil {
		return "", err
	}
	found, err := s.parameterGroups.Update(ctx, func(rec *parameterGroup) error {
		engine, known := familyEngine(aws.Val(rec.DBParameterGroupFamily))
		if !known {
			return rdsapi.InvalidDBParameterGroupStateFault("The family %s is no longer known.", aws.Val(rec.DBParameterGroupFamily))
		}
		return f(engine, rec)
	}, p.Account, p.Region, name)
	if err == nil && !found {
		err = noParameterGroup(name)
	}
	if err != nil {
		return "", err
	}
	users, err := s.instances.List(ctx, p.Account, p.Region)
	if err != nil {
		s.Log.Error("instances cannot be listed; they see the parameters at the next resync", "error", err)
	}
	for _, i := range users {
		if i.ParameterGroup == name {
			s.wake(s.instances.Key(p.Account, p.Region, aws.Val(i.DBInstanceIdentifier)))
		}
	}
	return name, nil
}

// DeleteDBParameterGroup implements rdsapi.API.
func (s *Service) DeleteDBParameterGroup(ctx context.Context, in *rdsapi.DeleteDBParameterGroupInput) (*rdsapi.DeleteDBParameterGroupOutput, error) {
	p := here(ctx)
	name := strings.ToLower(aws.Val(in.DBParameterGroupName))
	if strings.HasPrefix(name, "default.") {
		return nil, rdsapi.InvalidDBParameterGroupStateFault("Default DBParameterGroup cannot be deleted: %s", name)
	}
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		_, found, err := s.parameterGroups.TxGet(tx, p.Account, p.Region, name)
		if err == nil && !found {
			err = noParameterGroup(name)
		}
		if err != nil {
			return err
		}
		users, err := s.instances.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(users, func(i instance) bool { return i.ParameterGroup == name }) {
			return rdsapi.InvalidDBParameterGroupStateFault("One or more database instances are still members of this parameter group %s, so the group cannot be deleted", name)
		}
		s.parameterGroups.TxDelete(tx, p.Account, p.Region, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.DeleteDBParameterGroupOutput{}, nil
}

// checkFamily says whether an instance of a version may use a group.
func checkFamily(group parameterGroup, engine, engineVersion string) error {
	if want := family(engine, engineVersion); aws.Val(group.DBParameterGroupFamily) != want {
		return invalidCombination("The parameter group %s with DBParameterGroupFamily %s can't be used for this instance. Use a parameter group with DBParameterGroupFamily %s.",
			aws.Val(group.DBParameterGroupName), aws.Val(group.DBParameterGroupFamily), want)
	}
	return nil
}
