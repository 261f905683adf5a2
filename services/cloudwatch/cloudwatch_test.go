package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkcw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"minato/aws"
	"minato/aws/identity"
	"minato/aws/sigv4"
	"minato/aws/validate"
	"minato/dataplane/metrics"
	"minato/dataplane/segments"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store/memstore"
)

var (
	start  = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	caller = identity.Caller{Kind: identity.Root, Account: "000000000000", Region: "us-east-1", Partition: "aws"}
)

// iam knows one key, and allows everything but what is denied.
type iam struct {
	asked  []gateway.Check
	denied string
}

func (i *iam) Authorize(_ context.Context, _ identity.Caller, c gateway.Check) error {
	i.asked = append(i.asked, c)
	if c.Action == i.denied {
		return aws.Errorf("AccessDeniedException", "User is not authorized to perform: %s", c.Action)
	}
	return nil
}

func (*iam) Credential(context.Context, string) (gateway.Credential, error) {
	return gateway.Credential{Secret: "secret", Caller: caller}, nil
}

// fixture is the service behind the gateway and HTTP, with a clock that stands still.
type fixture struct {
	*sdkcw.Client
	t       *testing.T
	ctx     context.Context
	clock   *clock.Fake
	service *Service
	iam     *iam
	url     string
	scaled  []string
	dir     string
	samples *segments.Set
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, ctx: t.Context(), clock: clock.NewFake(start), iam: &iam{}, dir: t.TempDir()}
	history, err := segments.Open(t.TempDir(), segments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.samples, err = segments.Open(f.dir, segments.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { history.Close(); f.samples.Close() })
	f.service = New(Deps{
		Store: memstore.New(), Metrics: metrics.Open(f.samples, f.clock), History: history, Clock: f.clock,
		Scale: func(_ context.Context, policy string) error {
			f.scaled = append(f.scaled, policy)
			if strings.HasSuffix(policy, "/gone") {
				return errors.New("no policy")
			}
			return nil
		},
	})
	g := gateway.New(gateway.Options{Account: "000000000000", Region: "us-east-1", Clock: clock.Real(1), Authorizer: f.iam, Authenticator: f.iam, Validate: validate.Input})
	g.Register(f.service.Registration())
	srv := httptest.NewServer(g.Handler())
	t.Cleanup(srv.Close)
	f.url = srv.URL
	f.Client = sdkcw.NewFromConfig(sdk.Config{Region: "us-east-1", BaseEndpoint: &srv.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", ""), RetryMaxAttempts: 1})
	return f
}

// put stores values a minute apart, the last one in the minute before now.
func (f *fixture) put(name string, values ...float64) {
	f.t.Helper()
	in := &sdkcw.PutMetricDataInput{Namespace: sdk.String("Chat")}
	for i, v := range values {
		at := f.clock.Now().Add(time.Duration(i-len(values)) * time.Minute)
		in.MetricData = append(in.MetricData, cwtypes.MetricDatum{MetricName: &name, Value: &v, Timestamp: &at, Unit: cwtypes.StandardUnitPercent})
	}
	if _, err := f.PutMetricData(f.ctx, in); err != nil {
		f.t.Fatal(err)
	}
}

// settle runs the reconcilers until nothing is left to do at this moment.
func (f *fixture) settle() {
	f.t.Helper()
	alarms, composites := &alarmReconciler{f.service}, &compositeReconciler{f.service}
	for range 5 {
		keys, err := alarms.Keys(f.ctx)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, k := range keys {
			if _, err := alarms.Reconcile(f.ctx, k); err != nil {
				f.t.Fatal(err)
			}
		}
		if _, err := composites.Reconcile(f.ctx, compositesKey); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fixture) state(name string) string {
	f.t.Helper()
	out, err := f.DescribeAlarms(f.ctx, &sdkcw.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []cwtypes.AlarmType{cwtypes.AlarmTypeMetricAlarm, cwtypes.AlarmTypeCompositeAlarm}})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, a := range out.MetricAlarms {
		return string(a.StateValue)
	}
	for _, a := range out.CompositeAlarms {
		return string(a.StateValue)
	}
	return "none"
}

func (f *fixture) alarm(name string, change func(*sdkcw.PutMetricAlarmInput)) {
	f.t.Helper()
	in := &sdkcw.PutMetricAlarmInput{
		AlarmName: &name, Namespace: sdk.String("Chat"), MetricName: sdk.String("Load"), Statistic: cwtypes.StatisticAverage, Period: sdk.Int32(60),
		EvaluationPeriods: sdk.Int32(2), Threshold: sdk.Float64(80), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
	}
	if change != nil {
		change(in)
	}
	if _, err := f.PutMetricAlarm(f.ctx, in); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) history(name string) string {
	f.t.Helper()
	out, err := f.DescribeAlarmHistory(f.ctx, &sdkcw.DescribeAlarmHistoryInput{AlarmName: &name, ScanBy: cwtypes.ScanByTimestampAscending})
	if err != nil {
		f.t.Fatal(err)
	}
	var lines []string
	for _, i := range out.AlarmHistoryItems {
		lines = append(lines, *i.HistorySummary)
	}
	return strings.Join(lines, "\n")
}

func TestAlarmLife(t *testing.T) {
	f := setup(t)
	policy := "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x:resource/ecs/service/c/s:policyName/"
	topic := "arn:aws:sns:us-east-1:000000000000:people"
	f.alarm("high", func(in *sdkcw.PutMetricAlarmInput) {
		in.AlarmActions, in.OKActions = []string{policy + "out", policy + "gone", topic}, []string{topic}
	})
	f.settle()
	if s := f.state("high"); s != "INSUFFICIENT_DATA" {
		t.Errorf("without data: %s", s)
	}
	f.put("Load", 10, 20)
	f.settle()
	if s := f.state("high"); s != "OK" {
		t.Errorf("below: %s", s)
	}
	f.clock.Advance(2 * time.Minute)
	f.put("Load", 90, 95)
	f.settle()
	out, err := f.DescribeAlarms(f.ctx, &sdkcw.DescribeAlarmsInput{StateValue: cwtypes.StateValueAlarm})
	if err != nil || len(out.MetricAlarms) != 1 {
		t.Fatalf("%v %v", out, err)
	}
	if r := *out.MetricAlarms[0].StateReason; r != "Threshold Crossed: 2 out of the last 2 datapoints [95.0 (30/11/26 12:01:00), 90.0 (30/11/26 12:00:00)] were greater than the threshold (80.0) (minimum 2 datapoints for OK -> ALARM transition)." {
		t.Error(r)
	}
	if got := strings.Join(f.scaled, " "); got != policy+"out "+policy+"gone" {
		t.Errorf("scaled %s", got)
	}
	want := strings.Join([]string{
		`Alarm "high" created`, "Alarm updated from INSUFFICIENT_DATA to OK",
		`Failed to execute action ` + topic + `. Received error: "actions of sns are not served by minato"`,
		"Alarm updated from OK to ALARM", "Successfully executed action " + policy + "out", short("Failed to execute action "+policy+`gone. Received error: "no policy"`, 255),
		`Failed to execute action ` + topic + `. Received error: "actions of sns are not served by minato"`,
	}, "\n")
	if got := f.history("high"); got != want {
		t.Errorf("history\n%s\nwant\n%s", got, want)
	}
	// A state that was set stays until the next evaluation, and no longer.
	if _, err := f.SetAlarmState(f.ctx, &sdkcw.SetAlarmStateInput{AlarmName: sdk.String("high"), StateValue: cwtypes.StateValueOk, StateReason: sdk.String("a test")}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if s := f.state("high"); s != "OK" {
		t.Errorf("set: %s", s)
	}
	f.clock.Advance(time.Minute)
	f.settle()
	if s := f.state("high"); s != "ALARM" {
		t.Errorf("evaluated again: %s", s)
	}
	if _, err := f.DeleteAlarms(f.ctx, &sdkcw.DeleteAlarmsInput{AlarmNames: []string{"high"}}); err != nil {
		t.Fatal(err)
	}
	if h := f.history("high"); !strings.HasSuffix(h, `Alarm "high" deleted`) {
		t.Error(h)
	}
	var missing *cwtypes.ResourceNotFound
	if _, err := f.DeleteAlarms(f.ctx, &sdkcw.DeleteAlarmsInput{AlarmNames: []string{"high"}}); !errors.As(err, &missing) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestMathAndPercentileAlarms(t *testing.T) {
	f := setup(t)
	stat := func(id, name string) cwtypes.MetricDataQuery {
		return cwtypes.MetricDataQuery{Id: &id, ReturnData: sdk.Bool(false), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{Namespace: sdk.String("Chat"), MetricName: &name}, Period: sdk.Int32(60), Stat: sdk.String("Sum"),
		}}
	}
	f.alarm("rate", func(in *sdkcw.PutMetricAlarmInput) {
		in.Namespace, in.MetricName, in.Period, in.Statistic = nil, nil, nil, ""
		in.Threshold = sdk.Float64(5)
		in.Metrics = []cwtypes.MetricDataQuery{stat("errors", "Errors"), stat("all", "All"), {Id: sdk.String("percent"), Expression: sdk.String("100*errors/all")}}
	})
	f.alarm("p90", func(in *sdkcw.PutMetricAlarmInput) {
		in.Statistic, in.ExtendedStatistic, in.EvaluationPeriods, in.Threshold = "", sdk.String("p90"), sdk.Int32(1), sdk.Float64(8)
	})
	f.put("Errors", 1, 10, 10)
	f.put("All", 100, 100, 100)
	f.settle()
	if s := f.state("rate"); s != "ALARM" {
		t.Errorf("10 %% of errors: %s", s)
	}
	at := f.clock.Now().Add(-time.Minute)
	if _, err := f.PutMetricData(f.ctx, &sdkcw.PutMetricDataInput{Namespace: sdk.String("Chat"), MetricData: []cwtypes.MetricDatum{
		{MetricName: sdk.String("Load"), Timestamp: &at, Values: []float64{1, 9}, Counts: []float64{80, 20}},
	}}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if s := f.state("p90"); s != "ALARM" {
		t.Errorf("p90 of 80 times 1 and 20 times 9: %s", s)
	}
}

func TestCompositeAlarm(t *testing.T) {
	f := setup(t)
	f.alarm("a", func(in *sdkcw.PutMetricAlarmInput) { in.TreatMissingData = sdk.String("ignore") })
	f.alarm("b", func(in *sdkcw.PutMetricAlarmInput) { in.TreatMissingData = sdk.String("ignore") })
	put := func(name, rule string) error {
		_, err := f.PutCompositeAlarm(f.ctx, &sdkcw.PutCompositeAlarmInput{AlarmName: &name, AlarmRule: &rule})
		return err
	}
	set := func(name string, state cwtypes.StateValue) {
		if _, err := f.SetAlarmState(f.ctx, &sdkcw.SetAlarmStateInput{AlarmName: &name, StateValue: state, StateReason: sdk.String("r")}); err != nil {
			t.Fatal(err)
		}
		f.settle()
	}
	if err := errors.Join(put("both", "ALARM(a) AND ALARM(b)"), put("top", "ALARM(both)")); err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]string{
		"ALARM(c)":   "ValidationError: Could not save the composite alarm as alarms [c] in the alarm rule do not exist",
		"ALARM(top)": "ValidationError: Could not save the composite alarm as its alarm rule would depend on itself.",
		"ALARM(":     "ValidationError: Error in AlarmRule expression [the expression ends too early, at position 7]",
	} {
		if err := put("both", rule); code(err) != want {
			t.Errorf("%s: %s", rule, code(err))
		}
	}
	set("a", "ALARM")
	set("b", "OK")
	if s := f.state("both"); s != "OK" {
		t.Errorf("one: %s", s)
	}
	set("b", "ALARM")
	if a, b := f.state("both"), f.state("top"); a != "ALARM" || b != "ALARM" {
		t.Errorf("both: %s, top: %s", a, b)
	}
	if _, err := f.DeleteAlarms(f.ctx, &sdkcw.DeleteAlarmsInput{AlarmNames: []string{"a"}}); err == nil {
		t.Error("an alarm that another depends on was deleted")
	}
	out, err := f.DescribeAlarms(f.ctx, &sdkcw.DescribeAlarmsInput{ParentsOfAlarmName: sdk.String("a")})
	if err != nil || len(out.CompositeAlarms) != 1 || *out.CompositeAlarms[0].AlarmName != "both" {
		t.Errorf("%v %v", out, err)
	}
	if _, err := f.DeleteAlarms(f.ctx, &sdkcw.DeleteAlarmsInput{AlarmNames: []string{"a", "b", "both", "top"}}); err != nil {
		t.Error(err)
	}
}

// code is an error as "Code: text".
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode() + ": " + e.ErrorMessage()
	}
	return fmt.Sprint(err)
}

func TestPutRefused(t *testing.T) {
	f := setup(t)
	value := func(change func(*cwtypes.MetricDatum)) []cwtypes.MetricDatum {
		d := cwtypes.MetricDatum{MetricName: sdk.String("Load"), Value: sdk.Float64(1)}
		change(&d)
		return []cwtypes.MetricDatum{d}
	}
	old, future := start.Add(-15*24*time.Hour), start.Add(3*time.Hour)
	for want, in := range map[string]*sdkcw.PutMetricDataInput{
		"InvalidParameterValue: The value AWS/ for parameter Namespace is invalid.":                                                    {Namespace: sdk.String("AWS/ECS"), MetricData: value(func(*cwtypes.MetricDatum) {})},
		"MissingParameter: The parameter MetricData is required.":                                                                      {Namespace: sdk.String("Chat")},
		"InvalidParameterValue: The collection MetricData must not have a size greater than 1000.":                                     {Namespace: sdk.String("Chat"), MetricData: make([]cwtypes.MetricDatum, 1001)},
		"InvalidParameterValue: The parameter MetricData.member.1.Timestamp must specify a time no more than two weeks in the past.":   {Namespace: sdk.String("Chat"), MetricData: value(func(d *cwtypes.MetricDatum) { d.Timestamp = &old })},
		"InvalidParameterValue: The parameter MetricData.member.1.Timestamp must specify a time no more than two hours in the future.": {Namespace: sdk.String("Chat"), MetricData: value(func(d *cwtypes.MetricDatum) { d.Timestamp = &future })},
		"InvalidParameterValue: The parameter MetricData.member.1.StorageResolution must be 1 or 60.":                                  {Namespace: sdk.String("Chat"), MetricData: value(func(d *cwtypes.MetricDatum) { d.StorageResolution = sdk.Int32(10) })},
		"InvalidParameterValue: The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.": {Namespace: sdk.String("Chat"), MetricData: value(func(d *cwtypes.MetricDatum) {
			d.Value, d.Values, d.Counts = nil, []float64{1, 2}, []float64{1}
		})},
		"InvalidParameterCombination: The parameters MetricData.member.1.Value, MetricData.member.1.Values and MetricData.member.1.StatisticValues are mutually exclusive and you have specified more than one.": {Namespace: sdk.String("Chat"), MetricData: value(func(d *cwtypes.MetricDatum) { d.Values = []float64{1} })},
	} {
		for i := range in.MetricData {
			if in.MetricData[i].MetricName == nil {
				in.MetricData[i].MetricName = sdk.String("x")
			}
		}
		if _, err := f.PutMetricData(f.ctx, in); code(err) != want {
			t.Errorf("got  %s\nwant %s", code(err), want)
		}
	}
	f.iam.denied = "cloudwatch:PutMetricData"
	if _, err := f.PutMetricData(f.ctx, &sdkcw.PutMetricDataInput{Namespace: sdk.String("Chat"), MetricData: value(func(*cwtypes.MetricDatum) {})}); code(err) != "AccessDenied: User is not authorized to perform: cloudwatch:PutMetricData" {
		t.Error(code(err))
	}
	if c := f.iam.asked[len(f.iam.asked)-1]; c.Context["cloudwatch:namespace"][0] != "Chat" {
		t.Errorf("IAM was asked %+v", c)
	}
}

// TestReading has the same samples read in each way, before and after a restart.
func TestReading(t *testing.T) {
	f := setup(t)
	f.put("Load", 10, 20, 30, 40)
	old := start.Add(-24 * time.Hour)
	set := &cwtypes.StatisticSet{SampleCount: sdk.Float64(4), Sum: sdk.Float64(100), Minimum: sdk.Float64(10), Maximum: sdk.Float64(40)}
	dims := []cwtypes.Dimension{{Name: sdk.String("B"), Value: sdk.String("2")}, {Name: sdk.String("A"), Value: sdk.String("1")}}
	if _, err := f.PutMetricData(f.ctx, &sdkcw.PutMetricDataInput{Namespace: sdk.String("Chat"), MetricData: []cwtypes.MetricDatum{{MetricName: sdk.String("Old"), Timestamp: &old, StatisticValues: set, Dimensions: dims}}}); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		stats, err := f.GetMetricStatistics(f.ctx, &sdkcw.GetMetricStatisticsInput{
			Namespace: sdk.String("Chat"), MetricName: sdk.String("Old"), Dimensions: []cwtypes.Dimension{dims[1], dims[0]}, StartTime: sdk.Time(old.Add(-time.Hour)), EndTime: sdk.Time(old.Add(time.Hour)),
			Period: sdk.Int32(3600), Statistics: []cwtypes.Statistic{"Average", "Sum", "SampleCount"},
		})
		if err != nil || len(stats.Datapoints) != 1 || *stats.Datapoints[0].Average != 25 || *stats.Datapoints[0].Sum != 100 || stats.Datapoints[0].Minimum != nil || stats.Datapoints[0].Unit != "None" {
			t.Errorf("%+v %v", stats, err)
		}
		metric := &cwtypes.MetricStat{Metric: &cwtypes.Metric{Namespace: sdk.String("Chat"), MetricName: sdk.String("Load")}, Period: sdk.Int32(60), Stat: sdk.String("Average")}
		var got []float64
		in := &sdkcw.GetMetricDataInput{
			StartTime: sdk.Time(start.Add(-time.Hour)), EndTime: sdk.Time(start), MaxDatapoints: sdk.Int32(3), ScanBy: cwtypes.ScanByTimestampAscending,
			MetricDataQueries: []cwtypes.MetricDataQuery{{Id: sdk.String("m"), MetricStat: metric}, {Id: sdk.String("e"), Expression: sdk.String("m*2+1"), Label: sdk.String("double")}},
		}
		p := sdkcw.NewGetMetricDataPaginator(f.Client, in)
		for p.HasMorePages() {
			out, err := p.NextPage(f.ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.MetricDataResults {
				got = append(got, r.Values...)
			}
		}
		if fmt.Sprint(got) != "[10 20 30 40 21 41 61 81]" {
			t.Errorf("read %v", got)
		}
		list, err := f.ListMetrics(f.ctx, &sdkcw.ListMetricsInput{Namespace: sdk.String("Chat"), Dimensions: []cwtypes.DimensionFilter{{Name: sdk.String("A")}}})
		if err != nil || len(list.Metrics) != 1 || *list.Metrics[0].MetricName != "Old" {
			t.Errorf("%+v %v", list, err)
		}
	}
	check()
	if err := f.samples.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := segments.Open(f.dir, segments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	f.service.metrics = metrics.Open(again, f.clock)
	check()
	for want, in := range map[string]*sdkcw.GetMetricStatisticsInput{
		"InvalidParameterCombination: You have requested up to 2,880 datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.": {StartTime: sdk.Time(start.Add(-48 * time.Hour)), EndTime: &start, Period: sdk.Int32(60), Statistics: []cwtypes.Statistic{"Sum"}},
		"InvalidParameterCombination: The parameter StartTime must be less than the parameter EndTime.":                                                                                                         {StartTime: &start, EndTime: &start, Period: sdk.Int32(60), Statistics: []cwtypes.Statistic{"Sum"}},
	} {
		in.Namespace, in.MetricName = sdk.String("Chat"), sdk.String("Load")
		if _, err := f.GetMetricStatistics(f.ctx, in); code(err) != want {
			t.Errorf("got  %s\nwant %s", code(err), want)
		}
	}
}

// raw makes a signed request with a body of its own.
func (f *fixture) raw(contentType, target, body string) (*http.Response, string) {
	f.t.Helper()
	r, err := http.NewRequest(http.MethodPost, f.url+"/", strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if target != "" {
		r.Header.Set("X-Amz-Target", "GraniteServiceVersion20100801."+target)
	}
	(&sigv4.Signer{AccessKeyID: "AKIATEST", Secret: "secret", Region: "us-east-1", Service: "monitoring"}).Sign(r, []byte(body), time.Now())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res, string(b)
}

// TestOlderProtocols: what the SDK puts in CBOR is read by query and by JSON.
func TestOlderProtocols(t *testing.T) {
	f := setup(t)
	form, js := "application/x-www-form-urlencoded; charset=utf-8", "application/x-amz-json-1.0"
	at := start.Add(-time.Minute).Format(time.RFC3339)
	_, body := f.raw(form, "", "Action=PutMetricData&Version=2010-08-01&Namespace=Chat&MetricData.member.1.MetricName=Load&MetricData.member.1.Value=2.5&MetricData.member.1.Timestamp="+at)
	if !strings.Contains(body, "<PutMetricDataResponse") {
		t.Error(body)
	}
	query := "Action=GetMetricStatistics&Version=2010-08-01&Namespace=Chat&MetricName=Load&StartTime=2026-11-30T11%3A00%3A00Z&EndTime=2026-11-30T12%3A00%3A00Z&Period=60&Statistics.member.1=Average&ExtendedStatistics.member.1=p90"
	if _, body = f.raw(form, "", query); !strings.Contains(body, "<Average>2.5</Average>") || !strings.Contains(body, "<entry><key>p90</key><value>2.5</value></entry>") {
		t.Error(body)
	}
	if _, body = f.raw(js, "ListMetrics", `{"Namespace":"Chat"}`); body != `{"Metrics":[{"Dimensions":[],"MetricName":"Load","Namespace":"Chat"}]}` {
		t.Error(body)
	}
	res, body := f.raw(js, "PutMetricData", `{}`)
	if !strings.Contains(body, `"__type":"MissingRequiredParameterException"`) || res.Header.Get("X-Amzn-Query-Error") != "MissingParameter;Sender" {
		t.Errorf("%s %v", body, res.Header)
	}
	if _, body = f.raw(form, "", "Action=PutMetricData&Version=2010-08-01"); !strings.Contains(body, "<Code>MissingParameter</Code><Message>The parameter Namespace is required.</Message>") {
		t.Error(body)
	}
	if _, body = f.raw(form, "", "Action=PutMetricStream&Version=2010-08-01"); !strings.Contains(body, "cloudwatch:PutMetricStream is an operation of AWS that minato does not serve") {
		t.Error(body)
	}
}

func TestTagsAndDashboards(t *testing.T) {
	f := setup(t)
	f.alarm("a", func(in *sdkcw.PutMetricAlarmInput) {
		in.Tags = []cwtypes.Tag{{Key: sdk.String("k"), Value: sdk.String("v")}}
	})
	name := "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a"
	if _, err := f.TagResource(f.ctx, &sdkcw.TagResourceInput{ResourceARN: &name, Tags: []cwtypes.Tag{{Key: sdk.String("x"), Value: sdk.String("y")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.UntagResource(f.ctx, &sdkcw.UntagResourceInput{ResourceARN: &name, TagKeys: []string{"k"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := f.ListTagsForResource(f.ctx, &sdkcw.ListTagsForResourceInput{ResourceARN: &name})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "x" {
		t.Errorf("%v %v", tags, err)
	}
	body := `{"widgets":[{"type":"text","properties":{"markdown":"hello"}}]}`
	if _, err := f.PutDashboard(f.ctx, &sdkcw.PutDashboardInput{DashboardName: sdk.String("d"), DashboardBody: &body}); err != nil {
		t.Fatal(err)
	}
	d, err := f.GetDashboard(f.ctx, &sdkcw.GetDashboardInput{DashboardName: sdk.String("d")})
	if err != nil || *d.DashboardBody != body {
		t.Errorf("%v %v", d, err)
	}
	if _, err := f.PutDashboard(f.ctx, &sdkcw.PutDashboardInput{DashboardName: sdk.String("d"), DashboardBody: sdk.String("{")}); err == nil {
		t.Error("a body that is no JSON")
	}
	_, err = f.GetDashboard(f.ctx, &sdkcw.GetDashboardInput{DashboardName: sdk.String("e")})
	var missing *cwtypes.DashboardNotFoundError
	if !errors.As(err, &missing) || missing.ErrorCode() != "ResourceNotFound" {
		t.Errorf("%v", err)
	}
}
