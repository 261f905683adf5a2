package template

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Parameter is a parameter's declaration.
type Parameter struct {
	Name                  string
	Type                  string
	Default               *string
	Description           string
	NoEcho                bool
	AllowedValues         []string
	AllowedPattern        string
	ConstraintDescription string
	MinLength, MaxLength  *int
	MinValue, MaxValue    *float64
}

func (t *Template) readParameters(root *Node) error {
	ps, err := section(root, "Parameters")
	if err != nil {
		return err
	}
	for _, name := range ps.Keys {
		p, err := readParameter(name, ps.Fields[name])
		if err != nil {
			return err
		}
		t.Parameters[name] = p
	}
	return nil
}

// parameterType are the types that a parameter may have.
var parameterType = regexp.MustCompile(`^(String|Number|CommaDelimitedList|List<(String|Number|AWS::[A-Za-z0-9:]+)>|AWS::[A-Za-z0-9:]+(<.+>)?)$`)

func readParameter(name string, n *Node) (*Parameter, error) {
	if n.Kind != Map {
		return nil, errorf("Template format error: [/Parameters/%s] parameter definition is malformed", name)
	}
	if !logicalID.MatchString(name) {
		return nil, errorf("Template format error: Parameter name %s is non alphanumeric.", name)
	}
	p := &Parameter{Name: name}
	for _, k := range n.Keys {
		v := n.Fields[k]
		if k == "AllowedValues" {
			for _, item := range v.Items {
				p.AllowedValues = append(p.AllowedValues, item.Text)
			}
			continue
		}
		if v.Kind == List || v.Kind == Map {
			return nil, errorf("Template format error: Every %s member must be a string.", k)
		}
		text := v.Text
		var bad error
		switch k {
		case "Type":
			p.Type = text
		case "Default":
			p.Default = &text
		case "Description":
			p.Description = text
		case "NoEcho":
			p.NoEcho = strings.EqualFold(text, "true")
		case "AllowedPattern":
			p.AllowedPattern = text
		case "ConstraintDescription":
			p.ConstraintDescription = text
		case "MinLength":
			p.MinLength, bad = integer(text)
		case "MaxLength":
			p.MaxLength, bad = integer(text)
		case "MinValue":
			p.MinValue, bad = number(text)
		case "MaxValue":
			p.MaxValue, bad = number(text)
		default:
			return nil, errorf("Invalid template parameter property '%s'", k)
		}
		if bad != nil {
			return nil, errorf("Template format error: %s of parameter %s is not a number.", k, name)
		}
	}
	if p.Type == "" {
		return nil, errorf("Template format error: Every Parameters object must contain a Type member.")
	}
	if !parameterType.MatchString(p.Type) {
		return nil, errorf("Template format error: Unrecognized parameter type: %s", p.Type)
	}
	return p, nil
}

func integer(text string) (*int, error) {
	i, err := strconv.Atoi(text)
	return &i, err
}

func number(text string) (*float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	return &f, err
}

// IsList tells whether the parameter's value is a list.
func (p *Parameter) IsList() bool {
	typ := p.Type
	if inner, ok := strings.CutPrefix(typ, ssmValue); ok {
		typ = strings.TrimSuffix(inner, ">")
	}
	return typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<")
}

// ItemType is the type of the value, or of each item of a list.
func (p *Parameter) ItemType() string {
	if inner, ok := strings.CutPrefix(p.Type, "List<"); ok {
		return strings.TrimSuffix(inner, ">")
	}
	return p.Type
}

// The types of parameters whose value is that of a parameter of the Parameter
// Store, or the name of one.
const (
	ssmValue = "AWS::SSM::Parameter::Value<"
	ssmName  = "AWS::SSM::Parameter::Name"
)

// Stored tells whether the parameter's value is in the Parameter Store, and what
// is given is its name there.
func (p *Parameter) Stored() bool { return strings.HasPrefix(p.Type, ssmValue) }

// NamesStored tells whether what is given is the name of a parameter of the
// Parameter Store.
func (p *Parameter) NamesStored() bool { return p.Stored() || p.Type == ssmName }

// Value is the parameter's value as Ref gives it.
func (p *Parameter) Value(text string) any {
	if !p.IsList() {
		return text
	}
	list := []any{}
	for _, item := range strings.Split(text, ",") {
		list = append(list, strings.TrimSpace(item))
	}
	return list
}

// check tells whether a value keeps the parameter's constraints.
func (p *Parameter) check(text string) error {
	items := []string{text}
	if p.IsList() && !p.Stored() {
		items = strings.Split(text, ",")
	}
	because := func(constraint string) error {
		if p.ConstraintDescription != "" {
			constraint = p.ConstraintDescription
		}
		return errorf("Parameter '%s' failed to satisfy constraint: %s", p.Name, constraint)
	}
	for _, item := range items {
		if p.IsList() {
			item = strings.TrimSpace(item)
		}
		if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, item) {
			return errorf("Parameter '%s' must be one of AllowedValues", p.Name)
		}
		if p.AllowedPattern != "" {
			if re, err := regexp.Compile(`^(?:` + p.AllowedPattern + `)$`); err == nil && !re.MatchString(item) {
				return errorParameter(p, "parameter value "+item+" for parameter name "+p.Name+" does not match pattern "+p.AllowedPattern, because)
			}
		}
		if p.Type == "Number" || p.Type == "List<Number>" {
			f, err := strconv.ParseFloat(item, 64)
			if err != nil {
				return errorf("Parameter '%s' must be a number.", p.Name)
			}
			if p.MinValue != nil && f < *p.MinValue {
				return because("Member must have value greater than or equal to " + strconv.FormatFloat(*p.MinValue, 'f', -1, 64))
			}
			if p.MaxValue != nil && f > *p.MaxValue {
				return because("Member must have value less than or equal to " + strconv.FormatFloat(*p.MaxValue, 'f', -1, 64))
			}
		}
	}
	if p.MinLength != nil && len([]rune(text)) < *p.MinLength {
		return because("Member must have length greater than or equal to " + strconv.Itoa(*p.MinLength))
	}
	if p.MaxLength != nil && len([]rune(text)) > *p.MaxLength {
		return because("Member must have length less than or equal to " + strconv.Itoa(*p.MaxLength))
	}
	return nil
}

// errorParameter prefers the author's explanation to the pattern.
func errorParameter(p *Parameter, plain string, because func(string) error) error {
	if p.ConstraintDescription != "" {
		return because("")
	}
	return &Error{plain}
}

// Resolve gives every parameter its value: what is given, else the default.
// Previous values stand for those that the caller wants to keep.
func (t *Template) Resolve(given map[string]string) (map[string]string, error) {
	var unknown, missing []string
	for _, name := range ids(given) {
		if t.Parameters[name] == nil {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, errorf("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	values := map[string]string{}
	for _, name := range ids(t.Parameters) {
		p := t.Parameters[name]
		v, ok := given[name]
		switch {
		case ok:
		case p.Default != nil:
			v = *p.Default
		default:
			missing = append(missing, name)
			continue
		}
		values[name] = v
	}
	if len(missing) > 0 {
		return nil, errorf("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	for _, name := range ids(values) {
		if err := t.Parameters[name].check(values[name]); err != nil {
			return nil, err
		}
	}
	return values, nil
}
