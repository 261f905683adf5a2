package cloudformation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/services/cloudformation/template"
)

// GetTemplate returns the template that a stack was made of.
func (s *Service) GetTemplate(ctx context.Context, in *api.GetTemplateInput) (*api.GetTemplateOutput, error) {
	if aws.Val(in.ChangeSetName) != "" {
		c, err := s.changeSet(ctx, in.ChangeSetName, in.StackName)
		if err != nil {
			return nil, err
		}
		return staged(in, c.Template, c.Values), nil
	}
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	return staged(in, st.Template, st.Values), nil
}

// staged is a template as it was given, or with its transforms done.
func staged(in *api.GetTemplateInput, text string, values map[string]string) *api.GetTemplateOutput {
	if aws.Val(in.TemplateStage) == api.TemplateStageProcessed {
		if t, err := template.ParseWith(text, values); err == nil {
			text = t.Processed()
		}
	}
	return &api.GetTemplateOutput{TemplateBody: &text, StagesAvailable: []string{api.TemplateStageOriginal, api.TemplateStageProcessed}}
}

// ValidateTemplate checks a template and says what it asks for.
func (s *Service) ValidateTemplate(ctx context.Context, in *api.ValidateTemplateInput) (*api.ValidateTemplateOutput, error) {
	text, err := s.body(ctx, in.TemplateBody, in.TemplateURL)
	if err != nil {
		return nil, err
	}
	t, err := s.parse(text, nil)
	if err != nil {
		return nil, err
	}
	out := &api.ValidateTemplateOutput{DeclaredTransforms: t.Transforms, Description: optional(t.Description), Parameters: []api.TemplateParameter{}}
	out.Capabilities, out.CapabilitiesReason = needs(t)
	for _, name := range sortedKeys(t.Parameters) {
		p := t.Parameters[name]
		out.Parameters = append(out.Parameters, api.TemplateParameter{ParameterKey: aws.Ptr(name), DefaultValue: p.Default, NoEcho: aws.Ptr(p.NoEcho), Description: optional(p.Description)})
	}
	return out, nil
}

// needs returns the capabilities that a template needs, and AWS's reason.
func needs(t *template.Template) ([]string, *string) {
	need, because := capability(t)
	var out []string
	var reason *string
	if need != "" {
		out, reason = []string{need}, aws.Ptr("The following resource(s) require capabilities: ["+strings.Join(because, ", ")+"]")
	}
	if len(t.Transforms) > 0 {
		out = append(out, api.CapabilityCapabilityAutoExpand)
	}
	return out, reason
}

// GetTemplateSummary says what a template, or that of a stack, is made of.
func (s *Service) GetTemplateSummary(ctx context.Context, in *api.GetTemplateSummaryInput) (*api.GetTemplateSummaryOutput, error) {
	var text string
	var values map[string]string
	var err error
	if name := aws.Val(in.StackName); name != "" {
		st, e := s.find(ctx, name)
		if e != nil {
			return nil, e
		}
		text, values = st.Template, st.Values
	} else if text, err = s.body(ctx, in.TemplateBody, in.TemplateURL); err != nil {
		return nil, err
	}
	t, err := s.parse(text, values)
	if err != nil {
		return nil, err
	}
	out := &api.GetTemplateSummaryOutput{DeclaredTransforms: t.Transforms, Description: optional(t.Description), Parameters: []api.ParameterDeclaration{}, ResourceTypes: []string{}, Version: aws.Ptr("2010-09-09")}
	out.Capabilities, out.CapabilitiesReason = needs(t)
	for _, id := range t.LogicalIDs() {
		if typ := t.Resources[id].Type; !slices.Contains(out.ResourceTypes, typ) {
			out.ResourceTypes = append(out.ResourceTypes, typ)
		}
	}
	if t.Metadata != nil {
		if raw, err := json.Marshal(t.Metadata.Value()); err == nil {
			out.Metadata = aws.Ptr(string(raw))
		}
	}
	for _, name := range sortedKeys(t.Parameters) {
		p := t.Parameters[name]
		out.Parameters = append(out.Parameters, api.ParameterDeclaration{
			ParameterKey: aws.Ptr(name), ParameterType: &p.Type, DefaultValue: p.Default, NoEcho: aws.Ptr(p.NoEcho),
			Description: optional(p.Description), ParameterConstraints: &api.ParameterConstraints{AllowedValues: p.AllowedValues},
		})
	}
	return out, nil
}

// UpdateTerminationProtection switches the protection of a stack from deletion.
func (s *Service) UpdateTerminationProtection(ctx context.Context, in *api.UpdateTerminationProtectionInput) (*api.UpdateTerminationProtectionOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	_, err = s.stacks.Update(ctx, func(cur *stackRecord) error {
		if cur.status() == api.StackStatusDeleteComplete || cur.status() == api.StackStatusDeleteInProgress {
			return validation("Stack [%s] is in %s state and can not be updated.", cur.name(), cur.status())
		}
		cur.EnableTerminationProtection = in.EnableTerminationProtection
		return nil
	}, st.Account, st.Region, st.ID)
	return &api.UpdateTerminationProtectionOutput{StackId: st.StackId}, err
}
