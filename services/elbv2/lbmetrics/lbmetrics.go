// Package lbmetrics turns what the data plane has counted into the metrics that
// CloudWatch has for load balancers: AWS/ApplicationELB and AWS/NetworkELB, per
// load balancer, zone and target group. It is pure.
//
// As on AWS, a count is reported when it is not zero; how many targets are
// healthy, and the requests for each of them, always.
package lbmetrics

import (
	"maps"
	"slices"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/dataplane/proxy"
)

// The namespaces.
const (
	Application = "AWS/ApplicationELB"
	Network     = "AWS/NetworkELB"
)

// maxValues is how many different values a datum may have.
const maxValues = 150

// Balancer is a load balancer with the target groups that it uses.
type Balancer struct {
	ID      string // of the data plane
	Name    string // as a dimension: app/NAME/ID
	Network bool
	Groups  []Group
}

// Group is a target group.
type Group struct{ ID, Name string } // Name is targetgroup/NAME/ID

// Namespace is where the load balancer's metrics are.
func (b *Balancer) Namespace() string {
	if b.Network {
		return Network
	}
	return Application
}

// Plan is what a load balancer has to report of the time between two accounts.
func Plan(b *Balancer, before, after proxy.Account, now time.Time) []cwapi.MetricDatum {
	w := &writer{now: now}
	self := cwapi.Dimension{Name: aws.Ptr("LoadBalancer"), Value: &b.Name}
	var all proxy.Counters
	for _, zone := range slices.Sorted(maps.Keys(after.LoadBalancers[b.ID])) {
		c := since(before.LoadBalancers[b.ID][zone], after.LoadBalancers[b.ID][zone])
		all = all.Plus(c)
		w.balancer(b, c, dimensions(zone, self))
	}
	w.balancer(b, all, []cwapi.Dimension{self})
	times := map[string]*times{}
	for _, g := range b.Groups {
		w.group(b, &g, self, before.TargetGroups[g.ID], after.TargetGroups[g.ID], times)
	}
	for _, zone := range slices.Sorted(maps.Keys(times)) {
		w.time("TargetResponseTime", times[zone], dimensions(zone, self))
	}
	return w.out
}

// dimensions are the load balancer's, and a zone's if there is one.
func dimensions(zone string, d ...cwapi.Dimension) []cwapi.Dimension {
	if zone == "" {
		return d
	}
	return append([]cwapi.Dimension{{Name: aws.Ptr("AvailabilityZone"), Value: &zone}}, d...)
}

type writer struct {
	now time.Time
	out []cwapi.MetricDatum
}

func (w *writer) add(name, unit string, v float64, d []cwapi.Dimension) {
	w.out = append(w.out, cwapi.MetricDatum{MetricName: &name, Unit: &unit, Value: &v, Timestamp: &w.now, Dimensions: d})
}

// count reports a count that is not zero.
func (w *writer) count(name string, n uint64, d []cwapi.Dimension) {
	if n > 0 {
		w.add(name, cwapi.StandardUnitCount, float64(n), d)
	}
}

func (w *writer) balancer(b *Balancer, c proxy.Counters, d []cwapi.Dimension) {
	if n := c.BytesIn + c.BytesOut; n > 0 {
		w.add("ProcessedBytes", cwapi.StandardUnitBytes, float64(n), d)
	}
	w.count("ClientTLSNegotiationErrorCount", c.TLSErrors, d)
	active := uint64(max(c.ActiveConnections, 0))
	if b.Network {
		w.count("ActiveFlowCount", active, d)
		w.count("NewFlowCount", c.NewConnections, d)
		return
	}
	w.count("RequestCount", c.Requests, d)
	w.count("ActiveConnectionCount", active, d)
	w.count("NewConnectionCount", c.NewConnections, d)
	w.count("HTTPCode_ELB_3XX_Count", c.Own.C3xx, d)
	w.count("HTTPCode_ELB_4XX_Count", c.Own.C4xx+c.ClientClosed, d)
	w.count("HTTPCode_ELB_5XX_Count", c.Own.C5xx, d)
	w.count("HTTPCode_ELB_500_Count", c.Own.C500, d)
	w.count("HTTPCode_ELB_502_Count", c.Own.C502, d)
	w.count("HTTPCode_ELB_503_Count", c.Own.C503, d)
	w.count("HTTPCode_ELB_504_Count", c.Own.C504, d)
	w.count("HTTP_Redirect_Count", c.Own.Redirects, d)
	w.count("HTTP_Fixed_Response_Count", c.Own.Fixed, d)
	w.count("DesyncMitigationMode_NonCompliant_Request_Count", c.NonCompliant, d)
	w.codes(c.Target, d)
	w.count("TargetConnectionErrorCount", c.TargetConnErrors, d)
}

func (w *writer) codes(c proxy.Codes, d []cwapi.Dimension) {
	w.count("HTTPCode_Target_2XX_Count", c.C2xx, d)
	w.count("HTTPCode_Target_3XX_Count", c.C3xx, d)
	w.count("HTTPCode_Target_4XX_Count", c.C4xx, d)
	w.count("HTTPCode_Target_5XX_Count", c.C5xx, d)
}

// group reports what the targets of a group did, and adds its times to those of
// the load balancer by zone; "" is all of them.
func (w *writer) group(b *Balancer, g *Group, lb cwapi.Dimension, before, after map[string]proxy.GroupCounters, sum map[string]*times) {
	self := cwapi.Dimension{Name: aws.Ptr("TargetGroup"), Value: &g.Name}
	whole := proxy.GroupCounters{}
	all := &times{}
	for _, zone := range slices.Sorted(maps.Keys(after)) {
		c := sinceGroup(before[zone], after[zone])
		t := timesOf(c)
		all.add(t)
		if zone != "" {
			w.targets(b, c, t, dimensions(zone, lb, self))
			at(sum, zone).add(t)
		}
		whole = plus(whole, c)
	}
	at(sum, "").add(all)
	w.targets(b, whole, all, []cwapi.Dimension{lb, self})
	if targets := whole.Healthy; !b.Network && targets > 0 {
		each := float64(whole.Requests) / float64(targets)
		w.add("RequestCountPerTarget", cwapi.StandardUnitCount, each, []cwapi.Dimension{self})
		w.add("RequestCountPerTarget", cwapi.StandardUnitCount, each, []cwapi.Dimension{lb, self})
	}
}

func (w *writer) targets(b *Balancer, c proxy.GroupCounters, t *times, d []cwapi.Dimension) {
	w.add("HealthyHostCount", cwapi.StandardUnitCount, float64(c.Healthy), d)
	w.add("UnHealthyHostCount", cwapi.StandardUnitCount, float64(c.Unhealthy), d)
	w.count("TargetTLSNegotiationErrorCount", c.TLSErrors, d)
	if b.Network {
		return
	}
	w.count("RequestCount", c.Requests, d)
	w.count("TargetConnectionErrorCount", c.ConnErrors, d)
	w.codes(c.Codes, d)
	w.time("TargetResponseTime", t, d)
}

// time reports times, in seconds.
func (w *writer) time(name string, t *times, d []cwapi.Dimension) {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(t.counts)), maxValues) {
		datum := cwapi.MetricDatum{MetricName: &name, Unit: aws.Ptr(cwapi.StandardUnitSeconds), Timestamp: &w.now, Dimensions: d}
		for _, v := range chunk {
			datum.Values = append(datum.Values, v)
			datum.Counts = append(datum.Counts, float64(t.counts[v]))
		}
		w.out = append(w.out, datum)
	}
}

// times are how many answers took so many seconds.
type times struct{ counts map[float64]uint64 }

func at(m map[string]*times, zone string) *times {
	if m[zone] == nil {
		m[zone] = &times{}
	}
	return m[zone]
}

func (t *times) add(o *times) {
	for v, n := range o.counts {
		if t.counts == nil {
			t.counts = map[float64]uint64{}
		}
		t.counts[v] += n
	}
}

// timesOf reads the times of a period. They are kept in buckets, whose middles
// are moved a little so that the sum, and so the average, is exact.
func timesOf(c proxy.GroupCounters) *times {
	t := &times{}
	var about time.Duration
	for v, n := range c.Times {
		about += v * time.Duration(n)
	}
	if about == 0 {
		return t
	}
	scale := float64(c.Time) / float64(about)
	t.counts = map[float64]uint64{}
	for v, n := range c.Times {
		t.counts[v.Seconds()*scale] += n
	}
	return t
}

// less subtracts what was counted before; a counter that is smaller now began anew.
func less(after, before uint64) uint64 {
	if after < before {
		return after
	}
	return after - before
}

func since(b, a proxy.Counters) proxy.Counters {
	return proxy.Counters{
		Requests: less(a.Requests, b.Requests), NewConnections: less(a.NewConnections, b.NewConnections), ActiveConnections: a.ActiveConnections,
		BytesIn: less(a.BytesIn, b.BytesIn), BytesOut: less(a.BytesOut, b.BytesOut), Target: sinceCodes(b.Target, a.Target), Own: sinceCodes(b.Own, a.Own),
		ClientClosed: less(a.ClientClosed, b.ClientClosed), TargetConnErrors: less(a.TargetConnErrors, b.TargetConnErrors), Retries: less(a.Retries, b.Retries),
		NonCompliant: less(a.NonCompliant, b.NonCompliant), TLSErrors: less(a.TLSErrors, b.TLSErrors),
	}
}

func sinceCodes(b, a proxy.Codes) proxy.Codes {
	return proxy.Codes{
		C2xx: less(a.C2xx, b.C2xx), C3xx: less(a.C3xx, b.C3xx), C4xx: less(a.C4xx, b.C4xx), C5xx: less(a.C5xx, b.C5xx),
		C500: less(a.C500, b.C500), C502: less(a.C502, b.C502), C503: less(a.C503, b.C503), C504: less(a.C504, b.C504),
		Redirects: less(a.Redirects, b.Redirects), Fixed: less(a.Fixed, b.Fixed),
	}
}

func sinceGroup(b, a proxy.GroupCounters) proxy.GroupCounters {
	if a.Requests < b.Requests || a.Time < b.Time {
		b = proxy.GroupCounters{}
	}
	c := proxy.GroupCounters{
		Requests: less(a.Requests, b.Requests), Codes: sinceCodes(b.Codes, a.Codes), ConnErrors: less(a.ConnErrors, b.ConnErrors), TLSErrors: less(a.TLSErrors, b.TLSErrors),
		NewConnections: less(a.NewConnections, b.NewConnections), Time: a.Time - b.Time, Healthy: a.Healthy, Unhealthy: a.Unhealthy,
	}
	for v, n := range a.Times {
		if n = less(n, b.Times[v]); n > 0 {
			if c.Times == nil {
				c.Times = map[time.Duration]uint64{}
			}
			c.Times[v] = n
		}
	}
	return c
}

func plus(x, y proxy.GroupCounters) proxy.GroupCounters {
	return proxy.GroupCounters{
		Requests: x.Requests + y.Requests, Codes: x.Codes.Plus(y.Codes), ConnErrors: x.ConnErrors + y.ConnErrors, TLSErrors: x.TLSErrors + y.TLSErrors,
		NewConnections: x.NewConnections + y.NewConnections, Healthy: x.Healthy + y.Healthy, Unhealthy: x.Unhealthy + y.Unhealthy,
	}
}
