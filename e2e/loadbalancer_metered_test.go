package e2e

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// metered has a known number of quick and of slow requests counted: by target group, by
// zone, and with percentiles.
func (f *front) metered() {
	const quick, slow = 60, 6
	group := f.group("timed", nil, nil, f.targets[:]...)
	*f.rules++
	regex, none := "^/timed", ""
	_, err := f.elb.CreateRule(f.Context(), &elb.CreateRuleInput{
		ListenerArn: &f.listener, Priority: f.rules, Actions: []elbtypes.Action{to(group)},
		Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/timed/*"}}},
		Transforms: []elbtypes.RuleTransform{{Type: elbtypes.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &elbtypes.UrlRewriteConfig{Rewrites: []elbtypes.RewriteConfig{{Regex: &regex, Replace: &none}}}}},
	})
	f.must(err)
	f.healthy(f.groups["timed"], 2)
	var all sync.WaitGroup
	ask := func(path string, times int) {
		for range times {
			resp, err := http.Get("http://" + f.alb + ":8080/timed" + path)
			if err != nil {
				f.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				f.Errorf("%s: %s", path, resp.Status)
			}
		}
	}
	for range slow {
		all.Go(func() { ask("/slow", 1); ask("/status/200", quick/slow) })
	}
	all.Wait()

	full := func(a string) string { return a[strings.LastIndex(a, ":")+1:] }
	lb, tg := "Name=LoadBalancer,Value="+strings.TrimPrefix(full(f.lb), "loadbalancer/"), "Name=TargetGroup,Value="+full(f.groups["timed"])
	get := func(name, kind, stat string, dimensions ...string) (total, most float64) {
		var out struct{ Datapoints []map[string]any }
		now := time.Now().UTC()
		f.aws(&out, append([]string{
			"cloudwatch", "get-metric-statistics", "--namespace", "AWS/ApplicationELB", "--metric-name", name, kind, stat, "--period", "86400",
			"--start-time", now.Truncate(24 * time.Hour).Add(-24 * time.Hour).Format(time.RFC3339), "--end-time", now.Add(time.Minute).Format(time.RFC3339), "--dimensions",
		}, dimensions...)...)
		for _, d := range out.Datapoints {
			v, ok := d[stat].(float64)
			if e, is := d["ExtendedStatistics"].(map[string]any); !ok && is {
				v, _ = e[stat].(float64)
			}
			total, most = total+v, max(most, v)
		}
		return total, most
	}
	f.until("all requests to be counted", func() bool {
		n, _ := get("RequestCount", "--statistics", "Sum", lb, tg)
		return n >= quick+slow
	})
	zones := 0.0
	for _, zone := range []string{"us-east-1a", "us-east-1c"} {
		n, _ := get("RequestCount", "--statistics", "Sum", lb, tg, "Name=AvailabilityZone,Value="+zone)
		if n == 0 {
			f.Errorf("no requests in %s", zone)
		}
		zones += n
		if _, healthy := get("HealthyHostCount", "--statistics", "Maximum", lb, tg, "Name=AvailabilityZone,Value="+zone); healthy != 1 {
			f.Errorf("%v healthy targets in %s", healthy, zone)
		}
	}
	if n, _ := get("RequestCount", "--statistics", "Sum", lb, tg); n != quick+slow || zones != n {
		f.Errorf("%v requests, %v in the zones, %d were made", n, zones, quick+slow)
	}
	if _, p50 := get("TargetResponseTime", "--extended-statistics", "p50", lb, tg); p50 <= 0 || p50 >= 1.4 {
		f.Errorf("the median is %v s", p50)
	}
	if _, p95 := get("TargetResponseTime", "--extended-statistics", "p95", lb, tg); p95 < 1.4 {
		f.Errorf("of the slowest twentieth the quickest took %v s", p95)
	}
}
