package rds

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed catalog.json
var catalogJSON []byte

// offer is what RDS offers of an engine.
type offer struct {
	Default  string   `json:"default"`  // version without EngineVersion
	Versions []string `json:"versions"` // oldest first
	Retired  []string `json:"retired"`
	Classes  []string `json:"classes"`
}

// engines are the engines that run here, by RDS's names.
var engines = func() map[string]offer {
	var all map[string]offer
	if err := json.Unmarshal(catalogJSON, &all); err != nil {
		panic(fmt.Sprintf("rds: catalog.json: %v", err))
	}
	return all
}()

// otherEngines are RDS's that do not run here.
var otherEngines = []string{
	"aurora-mysql", "aurora-postgresql", "custom-oracle-ee", "custom-oracle-ee-cdb", "custom-oracle-se2", "custom-sqlserver-ee", "custom-sqlserver-se", "custom-sqlserver-web",
	"db2-ae", "db2-se", "oracle-ee", "oracle-ee-cdb", "oracle-se2", "oracle-se2-cdb", "sqlserver-ee", "sqlserver-ex", "sqlserver-se", "sqlserver-web",
}

// engineNamed finds an engine, however its name is written.
func engineNamed(name string) (string, error) {
	lower := strings.ToLower(name)
	if _, ok := engines[lower]; ok {
		return lower, nil
	}
	if slices.Contains(otherEngines, lower) {
		return "", invalidValue("Invalid DB engine: minato runs mysql, mariadb and postgres, not %s", lower)
	}
	return "", invalidValue("Invalid DB engine")
}

// choice is a version or class that was asked for and what is taken for it.
type choice struct {
	taken string
	note  string // what an event says when it is not what was asked for
}

// version finds the version that a request means: the one named, the newest of a
// major version, the default. One that is no longer offered is refused, or with
// acceptRetired replaced by the nearest.
func version(engine, wanted string, acceptRetired bool) (choice, error) {
	o := engines[engine]
	switch {
	case wanted == "":
		return choice{taken: o.Default}, nil
	case slices.Contains(o.Versions, wanted):
		return choice{taken: wanted}, nil
	case wanted == majorVersion(engine, wanted):
		if newest := newestOf(engine, wanted); newest != "" {
			return choice{taken: newest}, nil
		}
	}
	if !acceptRetired {
		return choice{}, invalidCombination("Cannot find version %s for %s", wanted, engine)
	}
	near := nearest(engine, wanted)
	return choice{taken: near, note: fmt.Sprintf("EngineVersion %s is retired; %s runs instead (--retired-versions accept)", wanted, near)}, nil
}

// newestOf returns the newest version of a major one, "" if none is offered.
func newestOf(engine, major string) string {
	for _, v := range slices.Backward(engines[engine].Versions) {
		if majorVersion(engine, v) == major {
			return v
		}
	}
	return ""
}

// nearest is the newest of the same major version, else the oldest that is newer
// than the one that was asked for, else the newest of all.
func nearest(engine, wanted string) string {
	if v := newestOf(engine, majorVersion(engine, wanted)); v != "" {
		return v
	}
	versions := engines[engine].Versions
	for _, v := range versions {
		if compareVersions(v, wanted) > 0 {
			return newestOf(engine, majorVersion(engine, v))
		}
	}
	return versions[len(versions)-1]
}

// majorVersion is the part of a version that names a family: "8.0" of
// "8.0.43", "15" of PostgreSQL "15.4".
func majorVersion(engine, v string) string {
	parts := strings.SplitN(v, ".", 3)
	if engine == "postgres" && parts[0] != "9" || len(parts) == 1 {
		return parts[0]
	}
	return parts[0] + "." + parts[1]
}

func family(engine, v string) string { return engine + majorVersion(engine, v) }

// familyEngine finds the engine of a parameter group family.
func familyEngine(name string) (string, bool) {
	for engine, o := range engines {
		for _, v := range slices.Concat(o.Versions, o.Retired) {
			if family(engine, v) == name {
				return engine, true
			}
		}
	}
	return "", false
}

// compareVersions compares by the numbers in them.
func compareVersions(a, b string) int {
	split := func(v string) []int {
		var numbers []int
		for _, part := range strings.FieldsFunc(v, func(r rune) bool { return r < '0' || r > '9' }) {
			n, err := strconv.Atoi(part)
			if err != nil {
				n = 1 << 30 // too long to be anything else
			}
			numbers = append(numbers, n)
		}
		return numbers
	}
	return slices.Compare(split(a), split(b))
}

// retiredClasses are the instance families that RDS no longer makes instances of,
// though its price list still names them.
var retiredClasses = []string{"db.t1.", "db.t2.", "db.m1.", "db.m2.", "db.m3.", "db.m4.", "db.r3."}

func licenseModel(engine string) string {
	if engine == "postgres" {
		return "postgresql-license"
	}
	return "general-public-license"
}

// class checks an instance class for an engine and version.
func class(engine, engineVersion, wanted string, acceptRetired bool) (choice, error) {
	parts := strings.Split(wanted, ".")
	if len(parts) != 3 || parts[0] != "db" {
		return choice{}, invalidValue("Invalid DB Instance class: %s", wanted)
	}
	retired := slices.ContainsFunc(retiredClasses, func(prefix string) bool { return strings.HasPrefix(wanted, prefix) })
	if !retired && slices.Contains(engines[engine].Classes, wanted) {
		return choice{taken: wanted}, nil
	}
	if retired && acceptRetired {
		return choice{taken: wanted, note: fmt.Sprintf("DBInstanceClass %s is retired; it is taken as it was (--retired-versions accept)", wanted)}, nil
	}
	return choice{}, invalidCombination("RDS does not support creating a DB instance with the following combination: DBInstanceClass=%s, Engine=%s, EngineVersion=%s, LicenseModel=%s. For supported combinations of instance class and database engine version, see the documentation.",
		wanted, engine, engineVersion, licenseModel(engine))
}

// hardware is what a class promises.
type hardware struct {
	cpus   float64
	memory int64 // bytes
}

// sizes of a class: CPUs, and memory for each CPU comes from the family.
var sizeCPUs = map[string]float64{
	"micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "10xlarge": 40, "12xlarge": 48,
	"16xlarge": 64, "24xlarge": 96, "32xlarge": 128, "48xlarge": 192,
}

// hardwareOf tells CPUs and memory of a class: burstable ones by their size,
// the others by family (m: 4 GiB for each CPU, r: 8, x: 16).
func hardwareOf(class string) hardware {
	const gib = 1 << 30
	parts := strings.Split(class, ".")
	if len(parts) != 3 {
		return hardware{cpus: 2, memory: gib}
	}
	kind, size := parts[1], parts[2]
	h := hardware{cpus: cmp.Or(sizeCPUs[size], 2)}
	switch kind[0] {
	case 't':
		h.memory = map[string]int64{"micro": 1 * gib, "small": 2 * gib, "medium": 4 * gib, "large": 8 * gib, "xlarge": 16 * gib, "2xlarge": 32 * gib}[size]
		if strings.HasPrefix(kind, "t1") || strings.HasPrefix(kind, "t2") && (size == "micro" || size == "small") {
			h.cpus = 1
		}
	case 'r':
		h.memory = int64(h.cpus) * 8 * gib
	case 'x':
		h.memory = int64(h.cpus) * 16 * gib
	default:
		h.memory = int64(h.cpus) * 4 * gib
	}
	h.memory = max(h.memory, gib)
	return h
}
