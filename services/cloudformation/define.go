package cloudformation

import (
	"context"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/services/cloudformation/resources"
	"minato/services/cloudformation/schema"
	"minato/services/cloudformation/template"
)

// definition is a template with its parameters: what a stack is to be.
type definition struct {
	t          *template.Template
	conditions map[string]bool
	deps       map[string][]string // of each resource that the conditions keep
	env        template.Env        // without Ref, GetAtt and Import
}

// define makes a definition and finds all faults that can be known before
// anything is made.
func (s *Service) define(ctx context.Context, p arn.Place, name, id, body string, values map[string]string) (*definition, error) {
	t, err := s.parse(body, values)
	if err != nil {
		return nil, err
	}
	d := &definition{t: t, env: template.Env{
		Parameters: map[string]any{}, Mappings: t.Mappings,
		Pseudo: map[string]any{
			"AWS::AccountId": p.Account, "AWS::Region": p.Region, "AWS::Partition": p.Partition, "AWS::URLSuffix": "amazonaws.com",
			"AWS::StackName": name, "AWS::StackId": id, "AWS::NotificationARNs": []any{},
		},
		Zones: sync1(func(region string) ([]string, error) { return s.zones(ctx, region) }),
	}}
	for k, v := range values {
		if declared := t.Parameters[k]; declared != nil {
			d.env.Parameters[k] = declared.Value(v)
		}
	}
	if err := t.CheckRules(&d.env); err != nil {
		return nil, asValidation(err)
	}
	if d.conditions, err = t.EvalConditions(&d.env); err != nil {
		return nil, asValidation(err)
	}
	d.env.Conditions = d.conditions
	if d.deps, err = t.Dependencies(d.conditions); err != nil {
		return nil, asValidation(err)
	}
	return d, s.checkTypes(t, func(id string) bool { _, kept := d.deps[id]; return kept })
}

// sync1 remembers the answers of f.
func sync1[T any](f func(string) (T, error)) func(string) (T, error) {
	var mu sync.Mutex
	known := map[string]T{}
	return func(key string) (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if v, ok := known[key]; ok {
			return v, nil
		}
		v, err := f(key)
		if err == nil {
			known[key] = v
		}
		return v, err
	}
}

// zones lists the availability zones of the region.
func (s *Service) zones(ctx context.Context, region string) ([]string, error) {
	out, err := s.ec2.DescribeAvailabilityZones(ctx, &ec2api.DescribeAvailabilityZonesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("region-name"), Values: []string{region}}}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, z := range out.AvailabilityZones {
		names = append(names, aws.Val(z.ZoneName))
	}
	sort.Strings(names)
	return names, nil
}

// parse reads a template, for some values of its parameters, and checks that minato
// knows what it asks for.
func (s *Service) parse(body string, values map[string]string) (*template.Template, error) {
	t, err := template.ParseWith(body, values)
	if err != nil {
		return nil, asValidation(err)
	}
	if unknown := slices.DeleteFunc(slices.Clone(t.Transforms), func(name string) bool { return name == template.LanguageExtensions }); len(unknown) > 0 {
		return nil, validation("Transforms are not supported by minato: [%s]", strings.Join(unknown, ", "))
	}
	// What stands under a condition may be of a type that AWS has and minato has
	// not, as long as it is not made: define sees to that.
	if err := s.checkTypes(t, func(id string) bool { return t.Resources[id].Condition == "" }); err != nil {
		return nil, err
	}
	if err := checkSecure(t); err != nil {
		return nil, err
	}
	if err := t.EachAttribute(func(resource, attribute string) error {
		sch := schema.Lookup(t.Resources[resource].Type)
		if sch == nil && t.Resources[resource].Condition != "" {
			return nil
		}
		if t.Resources[resource].Type == resources.NestedType && strings.HasPrefix(attribute, resources.NestedOutputs) {
			return nil
		}
		if sch == nil || !sch.HasAttribute(attribute) {
			return validation("Template error: resource %s does not support attribute type %s in Fn::GetAtt", resource, attribute)
		}
		return nil
	}); err != nil {
		return nil, asValidation(err)
	}
	return t, nil
}

// checkTypes refuses resources of types that minato has not.
func (s *Service) checkTypes(t *template.Template, made func(id string) bool) error {
	var unknown []string
	for _, id := range t.LogicalIDs() {
		typ := t.Resources[id].Type
		if _, ok := s.types[typ]; (!ok || schema.Lookup(typ) == nil) && typ != metadataType && made(id) && !slices.Contains(unknown, typ) {
			unknown = append(unknown, typ)
		}
	}
	if len(unknown) > 0 {
		return validation("Template format error: Unrecognized resource types: [%s]", strings.Join(unknown, ", "))
	}
	return nil
}

// metadataType is what CDK puts into every template; it makes nothing.
const metadataType = "AWS::CDK::Metadata"

// asValidation gives a template's fault the code of the API.
func asValidation(err error) error {
	if _, ok := err.(*aws.Error); ok {
		return err
	}
	return validation("%s", err.Error())
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// namedIAM are the types that need a capability, with the properties that name
// them: those need the stronger one.
var namedIAM = map[string]string{
	"AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName", "AWS::IAM::Group": "GroupName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
	"AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::Policy": "", "AWS::IAM::AccessKey": "", "AWS::IAM::UserToGroupAddition": "", "AWS::IAM::RolePolicy": "", "AWS::IAM::UserPolicy": "", "AWS::IAM::GroupPolicy": "",
}

// capability returns the capability that a template needs, "" for none.
func capability(t *template.Template) (name string, because []string) {
	for _, id := range t.LogicalIDs() {
		r := t.Resources[id]
		property, iam := namedIAM[r.Type]
		if !iam {
			continue
		}
		because = append(because, r.Type)
		if name == "" {
			name = api.CapabilityCapabilityIam
		}
		if property != "" && r.Properties.Field(property) != nil {
			name = api.CapabilityCapabilityNamedIam
		}
	}
	slices.Sort(because)
	return name, slices.Compact(because)
}

// checkCapabilities refuses a template that makes IAM resources unasked, or one
// with a transform whose result nobody has looked at: a change set shows it.
func checkCapabilities(t *template.Template, given []string, shown bool) error {
	var lacking []string
	if need, _ := capability(t); need != "" && !slices.Contains(given, need) && !slices.Contains(given, api.CapabilityCapabilityNamedIam) {
		lacking = append(lacking, need)
	}
	if len(t.Transforms) > 0 && !shown && !slices.Contains(given, api.CapabilityCapabilityAutoExpand) {
		lacking = append(lacking, api.CapabilityCapabilityAutoExpand)
	}
	if len(lacking) == 0 {
		return nil
	}
	return api.InsufficientCapabilitiesException("Requires capabilities : [%s]", strings.Join(lacking, ", "))
}

// unserved refuses what a request asks for and minato would not do.
func unserved(given map[string]bool) error {
	for _, name := range sortedKeys(given) {
		if given[name] {
			return validation("%s is not supported by minato", name)
		}
	}
	return nil
}

// stackName is the form of stack names.
var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// given reads the parameters of a request; old holds the values that
// UsePreviousValue means.
func given(parameters []api.Parameter, old map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range parameters {
		key := aws.Val(p.ParameterKey)
		if aws.Val(p.UsePreviousValue) {
			v, ok := old[key]
			if !ok {
				return nil, validation("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", key)
			}
			out[key] = v
			continue
		}
		if p.ParameterValue == nil {
			return nil, validation("Invalid input for parameter key %s. Parameter value must be specified", key)
		}
		out[key] = *p.ParameterValue
	}
	return out, nil
}
