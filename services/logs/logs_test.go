package logs_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/aws/identity"
	"minato/aws/validate"
	"minato/controller"
	"minato/dataplane/segments"
	"minato/gateway"
	"minato/internal/clock"
	"minato/services/logs"
	"minato/store"
	"minato/store/memstore"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// iam records what was asked and allows everything, or nothing.
type iam struct {
	asked []gateway.Check
	deny  bool
}

func (i *iam) Authorize(_ context.Context, _ identity.Caller, c gateway.Check) error {
	i.asked = append(i.asked, c)
	if i.deny {
		return aws.Errorf("AccessDeniedException", "not authorized")
	}
	return nil
}

// Credential knows one key, the admin's.
func (i *iam) Credential(_ context.Context, id string) (gateway.Credential, error) {
	if id != "AKIATESTTESTTESTTEST" {
		return gateway.Credential{}, aws.Errorf("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	return gateway.Credential{Secret: "secret", Caller: caller}, nil
}

var caller = identity.Caller{Kind: identity.Root, Account: "000000000000", Region: "us-east-1", Partition: "aws"}

type fixture struct {
	*logsapi.Client
	ctx     context.Context
	clock   *clock.Fake
	store   store.Store
	events  *segments.Set
	service *logs.Service
	gateway *gateway.Gateway
	iam     *iam
	metrics metrics
	t       *testing.T
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(start), store: memstore.New(), iam: &iam{}, t: t}
	var err error
	if f.events, err = segments.Open(filepath.Join(t.TempDir(), "logs"), segments.Options{SegmentBytes: 4000}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.events.Close() })
	f.service = logs.New(logs.Deps{Store: f.store, Events: f.events, Clock: f.clock, Metrics: &f.metrics})
	f.gateway = gateway.New(gateway.Options{Account: "000000000000", Region: "us-east-1", Clock: clock.Real(1), Authorizer: f.iam, Authenticator: f.iam, Validate: validate.Input})
	f.gateway.Register(f.service.Registration())
	f.Client = logsapi.NewClient(f.gateway)
	f.ctx = identity.With(context.Background(), caller)
	return f
}

func (f *fixture) group(name string) {
	f.t.Helper()
	if _, err := f.CreateLogGroup(f.ctx, &logsapi.CreateLogGroupInput{LogGroupName: &name}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) stream(group, name string) {
	f.t.Helper()
	if _, err := f.CreateLogStream(f.ctx, &logsapi.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name}); err != nil {
		f.t.Fatal(err)
	}
}

// put stores messages one second apart, ending now.
func (f *fixture) put(group, name string, messages ...string) *logsapi.PutLogEventsOutput {
	f.t.Helper()
	in := &logsapi.PutLogEventsInput{LogGroupName: &group, LogStreamName: &name}
	for i, m := range messages {
		at := f.clock.Now().Add(time.Duration(i-len(messages)+1) * time.Second)
		in.LogEvents = append(in.LogEvents, logsapi.InputLogEvent{Timestamp: aws.Ptr(at.UnixMilli()), Message: &m})
	}
	out, err := f.PutLogEvents(f.ctx, in)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fixture) filter(in logsapi.FilterLogEventsInput) string {
	f.t.Helper()
	var got []string
	for {
		out, err := f.FilterLogEvents(f.ctx, &in)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range out.Events {
			got = append(got, aws.Val(e.LogStreamName)+":"+aws.Val(e.Message))
		}
		if out.NextToken == nil {
			return strings.Join(got, " ")
		}
		in.NextToken = out.NextToken
	}
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func fails(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	if !aws.IsCode(err, code) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got %v, want %s with %q", what, err, code, text)
	}
}

func TestGroups(t *testing.T) {
	f := setup(t)
	f.group("/chat")
	f.group("/api")
	_, err := f.CreateLogGroup(f.ctx, &logsapi.CreateLogGroupInput{LogGroupName: aws.Ptr("/chat")})
	fails(t, "twice", err, "ResourceAlreadyExistsException", "The specified log group already exists")
	for name, in := range map[string]*logsapi.CreateLogGroupInput{
		"reserved":   {LogGroupName: aws.Ptr("AWS/x")},
		"characters": {LogGroupName: aws.Ptr("a b")},
		"kms":        {LogGroupName: aws.Ptr("k"), KmsKeyId: aws.Ptr("arn:aws:kms:us-east-1:000000000000:key/1")},
		"class":      {LogGroupName: aws.Ptr("k"), LogGroupClass: aws.Ptr("DELIVERY")},
		"missing":    {},
	} {
		_, err := f.CreateLogGroup(f.ctx, in)
		fails(t, name, err, "InvalidParameterException", "")
	}
	out, err := f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{Limit: aws.Ptr[int32](1)})
	if err != nil {
		t.Fatal(err)
	}
	g := out.LogGroups[0]
	want(t, "first", *g.LogGroupName, "/api")
	want(t, "arn", *g.Arn, "arn:aws:logs:us-east-1:000000000000:log-group:/api:*")
	want(t, "created", *g.CreationTime, start.UnixMilli())
	out, err = f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{NextToken: out.NextToken})
	if err != nil || len(out.LogGroups) != 1 || out.NextToken != nil || *out.LogGroups[0].LogGroupName != "/chat" {
		t.Errorf("second page: %+v %v", out, err)
	}
	out, _ = f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{LogGroupNamePattern: aws.Ptr("HAT")})
	want(t, "by pattern", len(out.LogGroups), 1)
	_, err = f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{NextToken: aws.Ptr("%%%")})
	fails(t, "token", err, "InvalidParameterException", "nextToken")

	f.stream("/chat", "web/chat/1")
	f.put("/chat", "web/chat/1", "hello")
	if _, err := f.DeleteLogGroup(f.ctx, &logsapi.DeleteLogGroupInput{LogGroupName: aws.Ptr("/chat")}); err != nil {
		t.Fatal(err)
	}
	_, err = f.DeleteLogGroup(f.ctx, &logsapi.DeleteLogGroupInput{LogGroupName: aws.Ptr("/chat")})
	fails(t, "deleted twice", err, "ResourceNotFoundException", "The specified log group does not exist.")
	if names, _ := f.events.Names(); len(names) > 1 {
		t.Errorf("events are left: %v", names)
	}
	f.group("/chat")
	_, err = f.GetLogEvents(f.ctx, &logsapi.GetLogEventsInput{LogGroupName: aws.Ptr("/chat"), LogStreamName: aws.Ptr("web/chat/1")})
	fails(t, "stream of the deleted group", err, "ResourceNotFoundException", "The specified log stream does not exist.")
}

func TestStreams(t *testing.T) {
	f := setup(t)
	f.group("g")
	for _, name := range []string{"b/1", "a/1", "a/2"} {
		f.stream("g", name)
	}
	_, err := f.CreateLogStream(f.ctx, &logsapi.CreateLogStreamInput{LogGroupName: aws.Ptr("g"), LogStreamName: aws.Ptr("a/1")})
	fails(t, "twice", err, "ResourceAlreadyExistsException", "The specified log stream already exists")
	_, err = f.CreateLogStream(f.ctx, &logsapi.CreateLogStreamInput{LogGroupName: aws.Ptr("none"), LogStreamName: aws.Ptr("a")})
	fails(t, "no group", err, "ResourceNotFoundException", "The specified log group does not exist.")
	f.put("g", "a/2", "old")
	f.clock.Advance(time.Minute)
	f.put("g", "a/1", "one", "two")
	list := func(in logsapi.DescribeLogStreamsInput) string {
		t.Helper()
		in.LogGroupName = aws.Ptr("g")
		var names []string
		for {
			out, err := f.DescribeLogStreams(f.ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range out.LogStreams {
				names = append(names, *s.LogStreamName)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(names, " ")
			}
		}
	}
	one := aws.Ptr[int32](1)
	want(t, "by name", list(logsapi.DescribeLogStreamsInput{Limit: one}), "a/1 a/2 b/1")
	want(t, "descending", list(logsapi.DescribeLogStreamsInput{Limit: one, Descending: aws.Ptr(true)}), "b/1 a/2 a/1")
	want(t, "by time", list(logsapi.DescribeLogStreamsInput{Limit: one, OrderBy: aws.Ptr("LastEventTime"), Descending: aws.Ptr(true)}), "a/1 a/2 b/1")
	want(t, "prefix", list(logsapi.DescribeLogStreamsInput{LogStreamNamePrefix: aws.Ptr("a/")}), "a/1 a/2")
	out, _ := f.DescribeLogStreams(f.ctx, &logsapi.DescribeLogStreamsInput{LogGroupIdentifier: aws.Ptr("arn:aws:logs:us-east-1:000000000000:log-group:g"), LogStreamNamePrefix: aws.Ptr("a/1")})
	s := out.LogStreams[0]
	want(t, "last", *s.LastEventTimestamp-*s.FirstEventTimestamp, 1000)

	// A stream made again under its name is a new one.
	if _, err := f.DeleteLogStream(f.ctx, &logsapi.DeleteLogStreamInput{LogGroupName: aws.Ptr("g"), LogStreamName: aws.Ptr("a/1")}); err != nil {
		t.Fatal(err)
	}
	f.stream("g", "a/1")
	want(t, "events", f.filter(logsapi.FilterLogEventsInput{LogGroupName: aws.Ptr("g")}), "a/2:old")
}

func TestPutRefusals(t *testing.T) {
	f := setup(t)
	f.group("g")
	f.stream("g", "s")
	now := start.UnixMilli()
	day := int64(24 * 3600 * 1000)
	put := func(stream string, msg string, times ...int64) (*logsapi.PutLogEventsOutput, error) {
		in := &logsapi.PutLogEventsInput{LogGroupName: aws.Ptr("g"), LogStreamName: &stream}
		for _, at := range times {
			in.LogEvents = append(in.LogEvents, logsapi.InputLogEvent{Timestamp: &at, Message: &msg})
		}
		return f.PutLogEvents(f.ctx, in)
	}
	_, err := put("none", "x", now)
	fails(t, "no stream", err, "ResourceNotFoundException", "The specified log stream does not exist.")
	_, err = put("s", "x", now, now-1)
	fails(t, "order", err, "InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
	_, err = put("s", "x", now-day-1, now)
	fails(t, "span", err, "InvalidParameterException", "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	_, err = put("s", strings.Repeat("x", 600000), now, now)
	fails(t, "size", err, "InvalidParameterException", "Upload too large: 1200052 bytes exceeds limit of 1048576")
	_, err = put("s", "x")
	fails(t, "empty", err, "InvalidParameterException", "")

	if _, err := f.PutRetentionPolicy(f.ctx, &logsapi.PutRetentionPolicyInput{LogGroupName: aws.Ptr("g"), RetentionInDays: aws.Ptr[int32](3)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what          string
		times         []int64
		old, exp, new *int32
	}{
		{"too old and expired", []int64{now - 14*day - 1, now - 14*day + 1}, aws.Ptr[int32](1), aws.Ptr[int32](2), nil},
		{"expired", []int64{now - 3*day - 1, now - 3*day + 1}, nil, aws.Ptr[int32](1), nil},
		{"too new", []int64{now, now + day/12, now + day/12 + 1}, nil, nil, aws.Ptr[int32](1)},
		{"fine", []int64{now}, nil, nil, nil},
	} {
		out, err := put("s", c.what, c.times...)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		r := out.RejectedLogEventsInfo
		if r == nil {
			r = &logsapi.RejectedLogEventsInfo{}
		}
		want(t, c.what, fmt.Sprint(text(r.TooOldLogEventEndIndex), text(r.ExpiredLogEventEndIndex), text(r.TooNewLogEventStartIndex)), fmt.Sprint(text(c.old), text(c.exp), text(c.new)))
	}
	want(t, "kept", f.filter(logsapi.FilterLogEventsInput{LogGroupName: aws.Ptr("g")}), "s:expired s:too new s:fine")
}

func text(p *int32) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}

func TestGetLogEvents(t *testing.T) {
	f := setup(t)
	f.group("g")
	f.stream("g", "s")
	f.stream("g", "other")
	f.put("g", "s", "1", "2", "3", "4", "5")
	f.put("g", "other", "x")
	get := func(in logsapi.GetLogEventsInput) (string, *logsapi.GetLogEventsOutput) {
		t.Helper()
		in.LogGroupName, in.LogStreamName = aws.Ptr("g"), aws.Ptr("s")
		out, err := f.GetLogEvents(f.ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range out.Events {
			got = append(got, *e.Message)
		}
		return strings.Join(got, " "), out
	}
	two := aws.Ptr[int32](2)
	got, out := get(logsapi.GetLogEventsInput{Limit: two})
	want(t, "the last ones", got, "4 5")
	got, back := get(logsapi.GetLogEventsInput{Limit: two, NextToken: out.NextBackwardToken})
	want(t, "backward", got, "2 3")
	got, back = get(logsapi.GetLogEventsInput{Limit: two, NextToken: back.NextBackwardToken})
	want(t, "backward", got, "1")
	got, end := get(logsapi.GetLogEventsInput{Limit: two, NextToken: back.NextBackwardToken})
	want(t, "before the head", got, "")
	want(t, "the same token at the end", *end.NextBackwardToken, *back.NextBackwardToken)

	got, out = get(logsapi.GetLogEventsInput{Limit: two, StartFromHead: aws.Ptr(true)})
	want(t, "from the head", got, "1 2")
	got, out = get(logsapi.GetLogEventsInput{NextToken: out.NextForwardToken})
	want(t, "forward", got, "3 4 5")
	got, end = get(logsapi.GetLogEventsInput{NextToken: out.NextForwardToken})
	want(t, "at the end", got, "")
	want(t, "the same token at the end", *end.NextForwardToken, *out.NextForwardToken)
	f.clock.Advance(time.Second)
	f.put("g", "s", "6")
	got, _ = get(logsapi.GetLogEventsInput{NextToken: end.NextForwardToken})
	want(t, "what came meanwhile", got, "6")

	got, _ = get(logsapi.GetLogEventsInput{StartTime: aws.Ptr(start.UnixMilli() - 2000), EndTime: aws.Ptr(start.UnixMilli())})
	want(t, "the end is not included", got, "3 4")
	_, err := f.GetLogEvents(f.ctx, &logsapi.GetLogEventsInput{LogGroupName: aws.Ptr("g"), LogStreamName: aws.Ptr("s"), NextToken: aws.Ptr("f/1")})
	fails(t, "token", err, "InvalidParameterException", "The specified nextToken is invalid.")
	_, err = f.GetLogEvents(f.ctx, &logsapi.GetLogEventsInput{LogStreamName: aws.Ptr("s")})
	fails(t, "no group", err, "InvalidParameterException", "")
}

func TestFilterLogEvents(t *testing.T) {
	f := setup(t)
	f.group("g")
	for _, s := range []string{"web/1", "web/2", "db"} {
		f.stream("g", s)
	}
	f.put("g", "web/1", "ERROR one", "fine")
	f.put("g", "web/2", `{"level":"error","n":2}`)
	f.put("g", "db", "ERROR db", "ERROR last")
	g := aws.Ptr("g")
	for _, c := range []struct {
		what string
		in   logsapi.FilterLogEventsInput
		want string
	}{
		{"all, in pages", logsapi.FilterLogEventsInput{Limit: aws.Ptr[int32](2)}, `web/1:ERROR one db:ERROR db web/1:fine web/2:{"level":"error","n":2} db:ERROR last`},
		{"term", logsapi.FilterLogEventsInput{FilterPattern: aws.Ptr("ERROR"), Limit: aws.Ptr[int32](1)}, "web/1:ERROR one db:ERROR db db:ERROR last"},
		{"exclusion", logsapi.FilterLogEventsInput{FilterPattern: aws.Ptr("ERROR -one")}, "db:ERROR db db:ERROR last"},
		{"json", logsapi.FilterLogEventsInput{FilterPattern: aws.Ptr(`{ $.level = "error" && $.n > 1 }`)}, `web/2:{"level":"error","n":2}`},
		{"prefix", logsapi.FilterLogEventsInput{LogStreamNamePrefix: aws.Ptr("web/"), FilterPattern: aws.Ptr("?ERROR ?fine")}, "web/1:ERROR one web/1:fine"},
		{"names", logsapi.FilterLogEventsInput{LogStreamNames: []string{"db"}}, "db:ERROR db db:ERROR last"},
		{"time", logsapi.FilterLogEventsInput{EndTime: aws.Ptr(start.UnixMilli() - 1000)}, "web/1:ERROR one db:ERROR db"},
	} {
		c.in.LogGroupName = g
		want(t, c.what, f.filter(c.in), c.want)
	}
	for what, in := range map[string]*logsapi.FilterLogEventsInput{
		"pattern":          {LogGroupName: g, FilterPattern: aws.Ptr(`"open`)},
		"token":            {LogGroupName: g, NextToken: aws.Ptr("x")},
		"names and prefix": {LogGroupName: g, LogStreamNames: []string{"db"}, LogStreamNamePrefix: aws.Ptr("d")},
	} {
		_, err := f.FilterLogEvents(f.ctx, in)
		fails(t, what, err, "InvalidParameterException", "")
	}
	_, err := f.FilterLogEvents(f.ctx, &logsapi.FilterLogEventsInput{LogGroupName: g, LogStreamNames: []string{"none"}})
	fails(t, "no such stream", err, "ResourceNotFoundException", "The specified log stream does not exist.")
}

// TestRetention: expired events are hidden at once and deleted by the
// reconciler; what a crash left of a deleted group is swept.
func TestRetention(t *testing.T) {
	f := setup(t)
	f.group("g")
	f.stream("g", "s")
	f.put("g", "s", "old")
	_, err := f.PutRetentionPolicy(f.ctx, &logsapi.PutRetentionPolicyInput{LogGroupName: aws.Ptr("g"), RetentionInDays: aws.Ptr[int32](2)})
	fails(t, "days", err, "InvalidParameterException", "[1, 3, 5, 7, 14,")
	if _, err := f.PutRetentionPolicy(f.ctx, &logsapi.PutRetentionPolicyInput{LogGroupName: aws.Ptr("g"), RetentionInDays: aws.Ptr[int32](1)}); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(25 * time.Hour)
	f.put("g", "s", "new")
	want(t, "shown", f.filter(logsapi.FilterLogEventsInput{LogGroupName: aws.Ptr("g")}), "s:new")

	orphan, err := f.events.Log("0123456789abcdef01234567")
	if err != nil {
		t.Fatal(err)
	}
	if err := orphan.Append("s", 1, []segments.Entry{{Time: 1}}); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(25 * time.Hour)
	before := f.bytes("g")
	c := controller.New(f.clock, testLog(t), controller.NewBus())
	f.service.AddReconcilers(c)
	c.Start()
	defer c.Stop()
	until(t, "the orphan is swept", func() bool { names, _ := f.events.Names(); return len(names) == 1 })
	until(t, "expired events are deleted", func() bool { return f.bytes("g") < before })
}

func (f *fixture) bytes(group string) int64 {
	out, err := f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{LogGroupNamePrefix: &group})
	if err != nil {
		f.t.Fatal(err)
	}
	return *out.LogGroups[0].StoredBytes
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestTags(t *testing.T) {
	f := setup(t)
	if _, err := f.CreateLogGroup(f.ctx, &logsapi.CreateLogGroupInput{LogGroupName: aws.Ptr("/g"), Tags: map[string]string{"a": "1"}}); err != nil {
		t.Fatal(err)
	}
	resource := aws.Ptr("arn:aws:logs:us-east-1:000000000000:log-group:/g")
	if _, err := f.TagResource(f.ctx, &logsapi.TagResourceInput{ResourceArn: resource, Tags: map[string]string{"b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.UntagResource(f.ctx, &logsapi.UntagResourceInput{ResourceArn: resource, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	out, err := f.ListTagsForResource(f.ctx, &logsapi.ListTagsForResourceInput{ResourceArn: resource})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "tags", out.Tags, map[string]string{"b": "2"})
	many := map[string]string{}
	for i := range 50 {
		many[fmt.Sprint("k", i)] = ""
	}
	_, err = f.TagResource(f.ctx, &logsapi.TagResourceInput{ResourceArn: resource, Tags: many})
	fails(t, "51 tags", err, "TooManyTagsException", "")
	_, err = f.ListTagsForResource(f.ctx, &logsapi.ListTagsForResourceInput{ResourceArn: aws.Ptr("arn:aws:logs:us-east-1:000000000000:log-group:none")})
	fails(t, "no group", err, "ResourceNotFoundException", "The specified log group does not exist.")
}

func TestAuthorization(t *testing.T) {
	f := setup(t)
	f.iam.deny = true
	const arn = "arn:aws:logs:us-east-1:000000000000:log-group:"
	for _, c := range []struct {
		action, resource string
		call             func() error
	}{
		{"logs:CreateLogGroup", arn + "/g:log-stream:", func() error {
			_, err := f.CreateLogGroup(f.ctx, &logsapi.CreateLogGroupInput{LogGroupName: aws.Ptr("/g")})
			return err
		}},
		{"logs:DescribeLogGroups", arn + ":log-stream:", func() error {
			_, err := f.DescribeLogGroups(f.ctx, &logsapi.DescribeLogGroupsInput{})
			return err
		}},
		{"logs:PutLogEvents", arn + "/g:log-stream:s/1", func() error {
			_, err := f.PutLogEvents(f.ctx, &logsapi.PutLogEventsInput{LogGroupName: aws.Ptr("/g"), LogStreamName: aws.Ptr("s/1")})
			return err
		}},
		{"logs:FilterLogEvents", arn + "/g:log-stream:", func() error {
			_, err := f.FilterLogEvents(f.ctx, &logsapi.FilterLogEventsInput{LogGroupIdentifier: aws.Ptr(arn + "/g")})
			return err
		}},
	} {
		f.iam.asked = nil
		fails(t, c.action, c.call(), "AccessDeniedException", "")
		if len(f.iam.asked) != 1 || f.iam.asked[0].Action != c.action || f.iam.asked[0].Resource != c.resource {
			t.Errorf("asked %+v, want %s on %s", f.iam.asked, c.action, c.resource)
		}
	}
}

// TestTail follows a group with the aws CLIs that are installed: version 2's
// own command, and version 1's polling by get-log-events.
func TestTail(t *testing.T) {
	f := setup(t)
	f.clock.Advance(time.Since(start)) // the CLI asks for the last minutes
	srv := httptest.NewServer(f.gateway.Handler())
	defer srv.Close()
	run := func(ctx context.Context, exe string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, exe, append([]string{"--endpoint-url", srv.URL, "--region", "us-east-1"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY=secret", "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "HOME="+t.TempDir())
		return cmd
	}
	f.group("/chat")
	f.stream("/chat", "web/chat/1")
	f.put("/chat", "web/chat/1", "before")
	tried := 0
	for _, exe := range []string{"/usr/bin/aws", "aws"} {
		path, err := exec.LookPath(exe)
		if err != nil {
			continue
		}
		tried++
		out, err := run(context.Background(), path, "logs", "get-log-events", "--log-group-name", "/chat", "--log-stream-name", "web/chat/1", "--query", "events[].message", "--output", "text").Output()
		if err != nil || !strings.Contains(string(out), "before") {
			t.Errorf("%s get-log-events: %s %v", path, out, err)
		}
		if path != "/usr/bin/aws" {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		tail := run(ctx, path, "logs", "tail", "/chat", "--follow", "--format", "short")
		pipe, err := tail.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := tail.Start(); err != nil {
			t.Fatal(err)
		}
		seen := ""
		buf := make([]byte, 4096)
		for sent := false; !strings.Contains(seen, "after"); {
			n, err := pipe.Read(buf)
			seen += string(buf[:n])
			if err != nil {
				t.Errorf("tail ended: %v\n%s", err, seen)
				break
			}
			if strings.Contains(seen, "before") && !sent {
				sent = true
				f.clock.Advance(time.Second)
				f.put("/chat", "web/chat/1", "after")
			}
		}
		cancel()
		_ = tail.Wait()
	}
	if tried == 0 {
		t.Skip("no aws CLI is installed")
	}
}
