package rds

import (
	"embed"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
)

//go:embed parameters/*.tsv
var parameterFiles embed.FS

// parameter is a line of parameters/<engine>.tsv: what may be set in a group of
// one of the engine's families.
type parameter struct {
	name       string
	dynamic    bool
	dataType   string // string, integer, float, boolean, list
	allowed    string // "0,1", "10-100000", "" for anything
	modifiable bool
}

// engineParameters are the parameters of each engine, by name.
var engineParameters = func() map[string]map[string]parameter {
	all := map[string]map[string]parameter{}
	for engine := range engines {
		content, err := parameterFiles.ReadFile("parameters/" + engine + ".tsv")
		if err != nil {
			panic(fmt.Sprintf("rds: %v", err))
		}
		all[engine] = map[string]parameter{}
		for line := range strings.Lines(string(content)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(f) != 5 {
				panic(fmt.Sprintf("rds: parameters/%s.tsv: %q", engine, line))
			}
			all[engine][f[0]] = parameter{name: f[0], dynamic: f[1] == "dynamic", dataType: f[2], allowed: f[3], modifiable: f[4] == "true"}
		}
	}
	return all
}()

var (
	numberRange = regexp.MustCompile(`^(-?[0-9.]+(?:e\+?[0-9]+)?)-(-?[0-9.]+(?:e\+?[0-9]+)?)$`)
	formulaLike = regexp.MustCompile(`[{}]`)
)

// check says whether a value may be given to the parameter.
func (p parameter) check(value string) error {
	if strings.ContainsAny(value, "\x00\r\n") {
		return invalidValue("Invalid parameter value: %s for: %s", value, p.name)
	}
	if p.allowed == "" || value == "" {
		return nil
	}
	ok := true
	switch bounds := numberRange.FindStringSubmatch(p.allowed); {
	case formulaLike.MatchString(value):
		if _, err := formula(value, hardware{cpus: 2, memory: 8 << 30}, 20); err != nil {
			return invalidValue("Invalid parameter value: %s for: %s: %v", value, p.name, err)
		}
	case bounds != nil:
		n, good := new(big.Float).SetString(value)
		low, _ := new(big.Float).SetString(bounds[1])
		high, _ := new(big.Float).SetString(bounds[2])
		ok = good && low != nil && high != nil && n.Cmp(low) >= 0 && n.Cmp(high) <= 0
	case p.dataType == "boolean":
		ok = slices.Contains([]string{"0", "1", "on", "off", "true", "false"}, strings.ToLower(value))
	case p.dataType == "list":
		for _, part := range strings.Split(value, ",") {
			ok = ok && containsFold(p.allowed, strings.TrimSpace(part))
		}
	case p.dataType == "string":
		ok = containsFold(p.allowed, value)
	}
	if !ok {
		return invalidValue("Invalid parameter value: %s for: %s allowed values are: %s", value, p.name, p.allowed)
	}
	return nil
}

func containsFold(list, value string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(s string) bool { return strings.EqualFold(s, value) })
}

// shown is the parameter as DescribeDBParameters gives it.
func (p parameter) shown() rdsapi.Parameter {
	applyType := "static"
	if p.dynamic {
		applyType = "dynamic"
	}
	out := rdsapi.Parameter{
		ParameterName: aws.Ptr(p.name), ApplyType: aws.Ptr(applyType), DataType: aws.Ptr(p.dataType), IsModifiable: aws.Ptr(p.modifiable),
		Source: aws.Ptr("engine-default"), ApplyMethod: aws.Ptr("pending-reboot"),
	}
	if p.allowed != "" {
		out.AllowedValues = aws.Ptr(p.allowed)
	}
	return out
}

var formulaTokens = regexp.MustCompile(`[A-Za-z]+|[0-9]+|[-+*/(),]`)

// formula evaluates a value such as {DBInstanceClassMemory*3/4} or
// GREATEST({log(DBInstanceClassMemory/805306368)*45},1000) for an instance. A
// value without braces is returned as it is.
func formula(value string, h hardware, storageGiB int) (string, error) {
	if !formulaLike.MatchString(value) {
		return value, nil
	}
	e := expression{
		tokens: formulaTokens.FindAllString(strings.NewReplacer("{", "(", "}", ")").Replace(value), -1),
		variables: map[string]float64{
			"dbinstanceclassmemory": float64(h.memory), "dbinstancevcpu": h.cpus, "allocatedstorage": float64(storageGiB) * (1 << 30),
		},
	}
	n := e.sum()
	if e.err == nil && len(e.tokens) > 0 {
		e.err = fmt.Errorf("%q is left over", e.tokens[0])
	}
	if e.err != nil {
		return "", fmt.Errorf("the formula %s cannot be read: %w", value, e.err)
	}
	return strconv.FormatInt(int64(n), 10), nil
}
