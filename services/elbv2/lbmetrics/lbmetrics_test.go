package lbmetrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/dataplane/proxy"
)

// find sums up the data of a metric with these dimensions, "Name=Value Name=Value".
func find(data []cwapi.MetricDatum, name, dimensions string) (sum, samples float64) {
	for _, d := range data {
		var have []string
		for _, x := range d.Dimensions {
			have = append(have, aws.Val(x.Name)+"="+aws.Val(x.Value))
		}
		slices.Sort(have)
		if *d.MetricName != name || strings.Join(have, " ") != dimensions {
			continue
		}
		if d.Value != nil {
			sum, samples = sum+*d.Value, samples+1
		}
		for i, v := range d.Values {
			sum, samples = sum+v*d.Counts[i], samples+d.Counts[i]
		}
	}
	return sum, samples
}

func TestPlan(t *testing.T) {
	const ms = time.Millisecond
	before := proxy.Account{
		LoadBalancers: map[string]map[string]proxy.Counters{"lb": {"a": {Requests: 10, BytesIn: 100, Target: proxy.Codes{C2xx: 9}, Own: proxy.Codes{C5xx: 1, C503: 1}}}},
		TargetGroups:  map[string]map[string]proxy.GroupCounters{"tg": {"a": {Requests: 9, Codes: proxy.Codes{C2xx: 9}, Time: 90 * ms, Times: map[time.Duration]uint64{10 * ms: 9}}}},
	}
	after := proxy.Account{
		LoadBalancers: map[string]map[string]proxy.Counters{"lb": {
			"a": {Requests: 30, BytesIn: 300, BytesOut: 50, ActiveConnections: 2, NewConnections: 3, Target: proxy.Codes{C2xx: 25, C5xx: 1}, Own: proxy.Codes{C5xx: 4, C503: 1, C502: 3}},
			"c": {Requests: 5, Target: proxy.Codes{C2xx: 5}, ClientClosed: 1, TLSErrors: 2},
		}},
		TargetGroups: map[string]map[string]proxy.GroupCounters{"tg": {
			"a": {Requests: 26, Codes: proxy.Codes{C2xx: 25, C5xx: 1}, Time: 90*ms + 200*ms, Times: map[time.Duration]uint64{10 * ms: 20, 12 * ms: 6}, Healthy: 2, Unhealthy: 1, ConnErrors: 4},
			"c": {Requests: 5, Codes: proxy.Codes{C2xx: 5}, Time: 50 * ms, Times: map[time.Duration]uint64{10 * ms: 5}, Healthy: 1},
		}},
	}
	b := &Balancer{ID: "lb", Name: "app/edge/1", Groups: []Group{{"tg", "targetgroup/web/1"}}}
	data := Plan(b, before, after, time.Now())
	const lb, tg, a, c = "LoadBalancer=app/edge/1", "TargetGroup=targetgroup/web/1", "AvailabilityZone=a ", "AvailabilityZone=c "
	for what, want := range map[[2]string]float64{
		{"RequestCount", lb}: 25, {"RequestCount", a + lb}: 20, {"RequestCount", c + lb}: 5, {"RequestCount", lb + " " + tg}: 22, {"RequestCount", a + lb + " " + tg}: 17,
		{"ProcessedBytes", lb}: 250, {"ActiveConnectionCount", lb}: 2, {"NewConnectionCount", a + lb}: 3,
		{"HTTPCode_Target_2XX_Count", lb}: 21, {"HTTPCode_Target_2XX_Count", lb + " " + tg}: 21, {"HTTPCode_Target_5XX_Count", a + lb + " " + tg}: 1,
		{"HTTPCode_ELB_5XX_Count", lb}: 3, {"HTTPCode_ELB_502_Count", lb}: 3, {"HTTPCode_ELB_4XX_Count", c + lb}: 1, {"ClientTLSNegotiationErrorCount", lb}: 2,
		{"HealthyHostCount", lb + " " + tg}: 3, {"HealthyHostCount", a + lb + " " + tg}: 2, {"UnHealthyHostCount", lb + " " + tg}: 1,
		{"RequestCountPerTarget", tg}: 22. / 3, {"RequestCountPerTarget", lb + " " + tg}: 22. / 3, {"TargetConnectionErrorCount", lb + " " + tg}: 4,
		{"TargetResponseTime", lb + " " + tg}: 0.25, {"TargetResponseTime", lb}: 0.25, {"TargetResponseTime", c + lb}: 0.05,
	} {
		if got, _ := find(data, what[0], what[1]); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s{%s} is %v, want %v", what[0], what[1], got, want)
		}
	}
	if _, n := find(data, "TargetResponseTime", lb); n != 22 {
		t.Errorf("%v times", n)
	}
	if _, n := find(data, "HTTPCode_ELB_503_Count", lb); n != 0 {
		t.Error("a count of zero is reported")
	}
	for _, d := range data {
		if len(d.Values) > 150 || len(d.Values) != len(d.Counts) || d.Value == nil && len(d.Values) == 0 {
			t.Errorf("%+v", d)
		}
	}
	// The engine began anew: what it counts now is what happened.
	if got, _ := find(Plan(b, after, before, time.Now()), "RequestCount", lb); got != 10 {
		t.Errorf("after a restart %v", got)
	}
}

func TestNetwork(t *testing.T) {
	after := proxy.Account{
		LoadBalancers: map[string]map[string]proxy.Counters{"lb": {"a": {NewConnections: 3, ActiveConnections: 1, BytesIn: 5, BytesOut: 7}}},
		TargetGroups:  map[string]map[string]proxy.GroupCounters{"tg": {"": {Healthy: 1}}},
	}
	b := &Balancer{ID: "lb", Name: "net/flows/1", Network: true, Groups: []Group{{"tg", "targetgroup/bytes/1"}}}
	if b.Namespace() != "AWS/NetworkELB" {
		t.Error(b.Namespace())
	}
	var names []string
	for _, d := range Plan(b, proxy.Account{}, after, time.Now()) {
		names = append(names, fmt.Sprint(*d.MetricName, len(d.Dimensions), " ", aws.Val(d.Value)))
	}
	slices.Sort(names)
	want := []string{"ActiveFlowCount1 1", "ActiveFlowCount2 1", "HealthyHostCount2 1", "NewFlowCount1 3", "NewFlowCount2 3", "ProcessedBytes1 12", "ProcessedBytes2 12", "UnHealthyHostCount2 0"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}
