package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"

	"minato/aws"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	"minato/services/cloudformation/dynamic"
	"minato/services/cloudformation/resources"
	"minato/services/cloudformation/schema"
	"minato/services/cloudformation/template"
)

// storedValues are the values of a template's parameters that are in the
// Parameter Store, read with the rights of whoever makes or changes the stack.
func (s *Service) storedValues(ctx context.Context, t *template.Template, values map[string]string) (map[string]string, error) {
	out := map[string]string{}
	var missing, secure []string
	for _, name := range sortedKeys(values) {
		declared := t.Parameters[name]
		if declared == nil || !declared.NamesStored() {
			continue
		}
		found, err := s.ssm.GetParameters(ctx, &ssmapi.GetParametersInput{Names: []string{values[name]}})
		if err != nil {
			e := aws.AsError(err)
			if e.HTTPStatus() >= 500 {
				return nil, err
			}
			return nil, validation("%s", e.Message).Because(err)
		}
		switch {
		case len(found.Parameters) == 0:
			missing = append(missing, values[name])
		case !declared.Stored():
		case aws.Val(found.Parameters[0].Type) == ssmapi.ParameterTypeSecureString:
			secure = append(secure, values[name])
		default:
			out[name] = aws.Val(found.Parameters[0].Value)
		}
	}
	switch {
	case len(missing) > 0:
		return nil, validation("Unable to fetch parameters [%s] from parameter store for this account.", strings.Join(missing, ","))
	case len(secure) > 0:
		return nil, validation("Parameters [%s] referenced by template have types not supported by CloudFormation.", strings.Join(secure, ","))
	}
	return out, nil
}

// inForce are the values of parameters as the template uses them.
func inForce(values, stored map[string]string) map[string]string {
	if len(stored) == 0 {
		return values
	}
	out := make(map[string]string, len(values))
	for k, v := range values {
		out[k] = v
		if v, ok := stored[k]; ok {
			out[k] = v
		}
	}
	return out
}

// checkSecure refuses references of the kind ssm-secure where AWS does.
func checkSecure(t *template.Template) error {
	var bad []string
	for _, id := range t.LogicalIDs() {
		r := t.Resources[id]
		if r.Properties == nil {
			continue
		}
		for _, name := range r.Properties.Keys {
			if !dynamic.SecureIn(r.Type, name) && hasSecure(r.Properties.Fields[name]) {
				bad = append(bad, r.Type+"/Properties/"+name)
			}
		}
	}
	if len(bad) > 0 {
		return validation("SSM Secure reference is not supported in: [%s]", strings.Join(bad, ", "))
	}
	return nil
}

func hasSecure(n *template.Node) bool {
	if n == nil {
		return false
	}
	if dynamic.Secure(n.Text) || slices.ContainsFunc(n.Items, hasSecure) {
		return true
	}
	for _, f := range n.Fields {
		if hasSecure(f) {
			return true
		}
	}
	return false
}

// hidden are values that references stood for; messages of failures do not show
// them.
type hidden struct {
	mu     sync.Mutex
	values []string
}

// shortestHidden is the length from which on a value is hidden: a shorter one
// would take half of the message with it.
const shortestHidden = 4

func (h *hidden) add(value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(value) >= shortestHidden && !slices.Contains(h.values, value) {
		h.values = append(h.values, value)
	}
}

func (h *hidden) mask(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.values {
		text = strings.ReplaceAll(text, v, "****")
	}
	return text
}

// resolved is what a handler is told, with the values that dynamic references
// stand for. They are in no record: what is stored keeps the reference.
func (r *run) resolved(ctx context.Context, rec *resourceRecord) (*resources.Request, error) {
	req := r.request(rec)
	if !dynamic.Has(req.Properties) {
		return req, nil
	}
	v, err := dynamic.Replace(req.Properties, func(ref dynamic.Ref) (string, error) { return r.value(ctx, ref) })
	if err != nil {
		var bad dynamic.Error
		if errors.As(err, &bad) {
			return nil, validation("%s", bad)
		}
		return nil, err
	}
	// The types of values are known only now: a port was a text until here.
	exact, err := exactly(v)
	if err != nil {
		return nil, err
	}
	normal, problems := schema.Lookup(rec.Type).Normalize(exact)
	if len(problems) > 0 {
		return nil, validation("%s", problemText(rec.LogicalID, problems))
	}
	req.Properties, err = stored(normal)
	return req, err
}

// exactly gives properties the types that they have in a template, where
// numbers are as they are written.
func exactly(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	return out, dec.Decode(&out)
}

// before is what was there before an update: what it has in common with now has
// the same values.
func before(raw, was, now map[string]any) map[string]any {
	out := make(map[string]any, len(was))
	for k, v := range was {
		if reflect.DeepEqual(raw[k], v) {
			v = now[k]
		}
		out[k] = v
	}
	return out
}

// value gets what a reference stands for, with the stack's rights.
func (r *run) value(ctx context.Context, ref dynamic.Ref) (string, error) {
	ctx = context.WithoutCancel(ctx)
	if ref.Service == dynamic.Secret {
		in := &secretsapi.GetSecretValueInput{SecretId: &ref.Name, VersionStage: optional(ref.VersionStage), VersionId: optional(ref.VersionID)}
		out, err := r.s.secretsManager.GetSecretValue(ctx, in)
		if err != nil {
			return "", err
		}
		if out.SecretString == nil {
			return "", dynamic.Error("Secrets Manager reference to a secret without SecretString: [" + ref.Name + "]")
		}
		v, err := dynamic.Field(*out.SecretString, ref.JSONKey)
		if err == nil {
			r.hidden.add(v)
		}
		return v, err
	}
	name := ref.Name
	if ref.Version != "" {
		name += ":" + ref.Version
	}
	secure := ref.Service == dynamic.SecureParameter
	out, err := r.s.ssm.GetParameters(ctx, &ssmapi.GetParametersInput{Names: []string{name}, WithDecryption: &secure})
	if err != nil {
		return "", err
	}
	if len(out.Parameters) == 0 {
		return "", dynamic.Error("Parameters: [" + ref.Service + ":" + name + "] cannot be found.")
	}
	p := out.Parameters[0]
	if isSecure := aws.Val(p.Type) == ssmapi.ParameterTypeSecureString; isSecure != secure {
		return "", dynamic.Error("Parameters: [" + ref.Service + ":" + name + "] have types not supported by the reference: " + aws.Val(p.Type))
	}
	if secure {
		r.hidden.add(aws.Val(p.Value))
	}
	return aws.Val(p.Value), nil
}

// shownOutput is an output with its references to plain parameters resolved;
// those to secrets stay as they are written, for an output is read by anybody.
func (r *run) shownOutput(ctx context.Context, text string) (string, error) {
	if !dynamic.In(text) || strings.Contains(text, "{{resolve:"+dynamic.Secret) || dynamic.Secure(text) {
		return text, nil
	}
	v, err := dynamic.Replace(text, func(ref dynamic.Ref) (string, error) { return r.value(ctx, ref) })
	if err != nil {
		return "", asValidation(err)
	}
	return v.(string), nil
}
