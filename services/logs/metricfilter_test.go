package logs_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	logsapi "minato/aws/api/logs"
	"minato/aws/identity"
)

// metrics keeps what it is given.
type metrics struct {
	cwapi.API
	as  []string
	got []cwapi.PutMetricDataInput
}

func (m *metrics) PutMetricData(ctx context.Context, in *cwapi.PutMetricDataInput) (*cwapi.PutMetricDataOutput, error) {
	m.as, m.got = append(m.as, identity.From(ctx).Service), append(m.got, *in)
	return &cwapi.PutMetricDataOutput{}, nil
}

func filterOf(name, pattern, value string) *logsapi.PutMetricFilterInput {
	return &logsapi.PutMetricFilterInput{
		LogGroupName: aws.Ptr("/chat"), FilterName: &name, FilterPattern: &pattern,
		MetricTransformations: []logsapi.MetricTransformation{{MetricName: aws.Ptr("Errors"), MetricNamespace: aws.Ptr("Chat"), MetricValue: &value}},
	}
}

// TestMetricFilters has events in and a metric's values out.
func TestMetricFilters(t *testing.T) {
	for name, c := range map[string]struct {
		pattern, value string
		change         func(*logsapi.MetricTransformation)
		want           string // the data as JSON, without the time
	}{
		"ones":              {"ERROR", "1", nil, `[{"Counts":[2],"MetricName":"Errors","Values":[1]}]`},
		"a member":          {"{ $.ms > 1 }", "$.ms", nil, `[{"Counts":[1,1],"MetricName":"Errors","Values":[5,7.5]}]`},
		"not a number":      {"{ $.ms > 1 }", "$.path", nil, ``},
		"nothing wanted":    {"harbour", "1", nil, ``},
		"the default value": {"harbour", "1", func(t *logsapi.MetricTransformation) { t.DefaultValue = aws.Ptr(0.0) }, `[{"Counts":[4],"MetricName":"Errors","Values":[0]}]`},
		"dimensions": {
			"{ $.ms > 1 }", "$.ms", func(t *logsapi.MetricTransformation) {
				t.Dimensions, t.Unit = map[string]string{"path": "$.path"}, aws.Ptr("Milliseconds")
			},
			`[{"Counts":[1],"Dimensions":[{"Name":"path","Value":"/a"}],"MetricName":"Errors","Unit":"Milliseconds","Values":[5]},{"Counts":[1],"MetricName":"Errors","Unit":"Milliseconds","Values":[7.5]}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			f.group("/chat")
			f.stream("/chat", "web/1")
			in := filterOf("f", c.pattern, c.value)
			if c.change != nil {
				c.change(&in.MetricTransformations[0])
			}
			if _, err := f.PutMetricFilter(f.ctx, in); err != nil {
				t.Fatal(err)
			}
			f.clock.Advance(30 * time.Second) // within a minute
			f.put("/chat", "web/1", "ERROR one", "an ERROR", `{"ms":5,"path":"/a"}`, `{"ms":7.5,"path":{}}`)
			if c.want == "" {
				if len(f.metrics.got) > 0 {
					t.Errorf("%+v", f.metrics.got)
				}
				return
			}
			if len(f.metrics.got) != 1 || aws.Val(f.metrics.got[0].Namespace) != "Chat" || f.metrics.as[0] != "logs.amazonaws.com" {
				t.Fatalf("%v %+v", f.metrics.as, f.metrics.got)
			}
			data := f.metrics.got[0].MetricData
			for i := range data {
				if !data[i].Timestamp.Equal(start) {
					t.Errorf("counted at %s, put at %s", data[i].Timestamp, start)
				}
				data[i].Timestamp = nil
			}
			if got, _ := json.Marshal(data); string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestMetricFiltersOfAGroup(t *testing.T) {
	f := setup(t)
	f.group("/chat")
	for _, name := range []string{"b", "a", "b"} {
		if _, err := f.PutMetricFilter(f.ctx, filterOf(name, "ERROR", "1")); err != nil {
			t.Fatal(err)
		}
	}
	names := func(in *logsapi.DescribeMetricFiltersInput) string {
		out, err := f.DescribeMetricFilters(f.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range out.MetricFilters {
			names = append(names, *m.FilterName)
		}
		return strings.Join(names, " ")
	}
	chat := aws.Ptr("/chat")
	if got := names(&logsapi.DescribeMetricFiltersInput{LogGroupName: chat}); got != "a b" {
		t.Error(got)
	}
	if got := names(&logsapi.DescribeMetricFiltersInput{MetricName: aws.Ptr("Errors"), MetricNamespace: aws.Ptr("Chat")}); got != "a b" {
		t.Error(got)
	}
	groups, err := f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{})
	if err != nil || *groups.LogGroups[0].MetricFilterCount != 2 {
		t.Errorf("%+v %v", groups, err)
	}
	if _, err := f.DeleteMetricFilter(f.ctx, &logsapi.DeleteMetricFilterInput{LogGroupName: chat, FilterName: aws.Ptr("a")}); err != nil {
		t.Error(err)
	}
	if _, err := f.DeleteMetricFilter(f.ctx, &logsapi.DeleteMetricFilterInput{LogGroupName: chat, FilterName: aws.Ptr("a")}); !aws.IsCode(err, "ResourceNotFoundException") {
		t.Error(err)
	}
	if _, err := f.DeleteLogGroup(f.ctx, &logsapi.DeleteLogGroupInput{LogGroupName: chat}); err != nil {
		t.Error(err)
	}
	f.group("/chat")
	if got := names(&logsapi.DescribeMetricFiltersInput{}); got != "" {
		t.Errorf("after the group was deleted there is %s", got)
	}
	for name, in := range map[string]*logsapi.PutMetricFilterInput{
		"pattern": filterOf("f", "{ $.a = ", "1"), "value": filterOf("f", "", "many"), "selector": filterOf("f", "", "$.a["),
	} {
		if _, err := f.PutMetricFilter(f.ctx, in); !aws.IsCode(err, "InvalidParameterException") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
