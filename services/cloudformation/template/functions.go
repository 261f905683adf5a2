package template

import (
	"net/netip"
	"strconv"
	"strings"
)

func (e *Env) join(arg *Node) (any, error) {
	fault := errorf("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
	if arg.Kind != List || len(arg.Items) != 2 || arg.Items[0].Kind != String {
		return nil, fault
	}
	list, err := e.texts(fault, arg.Items[1])
	if err != nil {
		return nil, err
	}
	return strings.Join(list, arg.Items[0].Text), nil
}

func (e *Env) selectOne(arg *Node) (any, error) {
	fault := errorf("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	if arg.Kind != List || len(arg.Items) != 2 {
		return nil, fault
	}
	text, err := e.text("Fn::Select", arg.Items[0])
	if err != nil {
		return nil, err
	}
	index, err := strconv.Atoi(text)
	if err != nil {
		return nil, fault
	}
	v, err := e.eval(arg.Items[1])
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fault
	}
	if index < 0 || index >= len(list) {
		return nil, errorf("Template error: Fn::Select  cannot select nonexistent value at index %d", index)
	}
	return list[index], nil
}

func (e *Env) split(arg *Node) (any, error) {
	if arg.Kind != List || len(arg.Items) != 2 || arg.Items[0].Kind != String || arg.Items[0].Text == "" {
		return nil, errorf("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
	}
	text, err := e.text("Fn::Split", arg.Items[1])
	if err != nil {
		return nil, err
	}
	return anys(strings.Split(text, arg.Items[0].Text)), nil
}

func (e *Env) findInMap(arg *Node) (any, error) {
	if arg.Kind != List || len(arg.Items) < 3 {
		return nil, errorf("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	var keys [3]string
	for i := range keys {
		k, err := e.text("Fn::FindInMap", arg.Items[i])
		if err != nil {
			return nil, err
		}
		keys[i] = k
	}
	mapping := e.Mappings.Field(keys[0])
	if mapping == nil {
		return nil, errorf("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", keys[0])
	}
	value := mapping.Field(keys[1]).Field(keys[2])
	if value == nil {
		if len(arg.Items) == 4 { // {"DefaultValue": …}
			if d := arg.Items[3].Field("DefaultValue"); d != nil {
				return e.eval(d)
			}
		}
		return nil, errorf("Template error: Unable to get mapping for %s", strings.Join(keys[:], "::"))
	}
	return value.Value(), nil
}

// cidr makes subnets of a block: {"Fn::Cidr": [block, count, bits]}.
func (e *Env) cidr(arg *Node) (any, error) {
	fault := errorf("Template error: Fn::Cidr object requires two or three parameters: an IP block, the number of CIDRs and the number of subnet bits")
	if arg.Kind != List || len(arg.Items) < 2 || len(arg.Items) > 3 {
		return nil, fault
	}
	block, err := e.text("Fn::Cidr", arg.Items[0])
	if err != nil {
		return nil, err
	}
	prefix, err := netip.ParsePrefix(block)
	if err != nil || !prefix.Addr().Is4() {
		return nil, errorf("Template error: Fn::Cidr: %s is not an IPv4 block", block)
	}
	numbers := [2]int{0, 8}
	for i, n := range arg.Items[1:] {
		text, err := e.text("Fn::Cidr", n)
		if err != nil {
			return nil, err
		}
		if numbers[i], err = strconv.Atoi(text); err != nil {
			return nil, fault
		}
	}
	count, bits := numbers[0], numbers[1]
	length := 32 - bits
	if count < 1 || count > 256 || bits < 1 || length < prefix.Bits() || length-prefix.Bits() < 16 && count > 1<<(length-prefix.Bits()) {
		return nil, errorf("Template error: Fn::Cidr: %s does not hold %d blocks of %d bits", block, count, bits)
	}
	base := prefix.Masked().Addr().As4()
	start := uint32(base[0])<<24 | uint32(base[1])<<16 | uint32(base[2])<<8 | uint32(base[3])
	out := make([]any, count)
	for i := range out {
		a := start + uint32(i)<<bits
		out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), length).String()
	}
	return out, nil
}

// sub replaces ${Name}, ${Resource.Attribute} and the names of its own map;
// ${!Name} stands for ${Name} itself.
func (e *Env) sub(arg *Node) (any, error) {
	text, own, err := subParts(arg)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	err = scanSub(text, func(literal string) { b.WriteString(literal) }, func(name string) error {
		var v any
		var err error
		if n := own.Field(name); n != nil {
			v, err = e.eval(n)
		} else if resource, attribute, dotted := strings.Cut(name, "."); dotted {
			v, err = e.GetAtt(resource, attribute)
		} else {
			v, err = e.ref(name)
		}
		if err != nil {
			return err
		}
		s, ok := Text(v)
		if !ok {
			return errorf("Template error: variable %s in Fn::Sub expression does not resolve to a string", name)
		}
		b.WriteString(s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.String(), nil
}

// subParts returns the text of an Fn::Sub and its own variables.
func subParts(arg *Node) (string, *Node, error) {
	if arg.Kind == String {
		return arg.Text, nil, nil
	}
	if arg.Kind != List || len(arg.Items) != 2 || arg.Items[0].Kind != String || arg.Items[1].Kind != Map {
		return "", nil, errorf("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")
	}
	return arg.Items[0].Text, arg.Items[1], nil
}

// scanSub walks the text of an Fn::Sub.
func scanSub(text string, literal func(string), variable func(name string) error) error {
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			literal(text)
			return nil
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			literal(text)
			return nil
		}
		literal(text[:i])
		name := text[i+2 : i+end]
		text = text[i+end+1:]
		if strings.HasPrefix(name, "!") {
			literal("${" + name[1:] + "}")
			continue
		}
		if err := variable(strings.TrimSpace(name)); err != nil {
			return err
		}
	}
}
