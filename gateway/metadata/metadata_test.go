package metadata_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
	"minato/gateway/metadata"
	"minato/internal/clock"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world has a task behind eni-task in vpc-a and an instance behind eni-instance;
// the address 10.0.0.10 is the task's in vpc-a and the instance's in vpc-b.
type world struct {
	creds    *metadata.Credentials
	err      error
	required bool
	profile  *metadata.Profile
	clock    *clock.Fake
	measured int

	noRole     bool
	protection ecsapi.ProtectedTask
	failure    *ecsapi.Failure
	denied     error
}

func (w *world) Lookup(vpc string, addr netip.Addr) (string, bool) {
	switch vpc + " " + addr.String() {
	case "vpc-a 10.0.0.10":
		return "eni-task", true
	case "vpc-b 10.0.0.10", "vpc-a 10.0.0.11", "vpc-a 127.0.0.1":
		return "eni-instance", true
	}
	return "", false
}

func (w *world) Task(_ context.Context, eni, id string) (*metadata.Task, error) {
	if eni != "eni-task" || id != "c1" {
		return nil, w.err
	}
	code := 0
	return &metadata.Task{
		Cluster: clusterARN, TaskARN: taskARN, Family: "chat", ServiceName: "web", Revision: "3",
		LaunchType: "FARGATE", TaskTags: map[string]string{"k": "v"}, Containers: []metadata.Container{
			{MetadataID: "c1", DockerID: "d1", Name: "chat", LogDriver: "awslogs", ContainerARN: "arn", Snapshotter: "overlayfs", Networks: []metadata.TaskNetwork{{NetworkMode: "awsvpc", IPv4Addresses: []string{"10.0.0.10"}, MACAddress: "02:00:00:00:00:02"}}},
			{MetadataID: "c2", DockerID: "d2", Name: "init", ExitCode: &code},
		},
	}, nil
}

func (w *world) Stats(_ context.Context, eni, id string) (*metadata.Stats, error) {
	if eni != "eni-task" || id != "c1" {
		return nil, nil
	}
	w.measured++
	n := uint64(w.measured)
	return &metadata.Stats{
		ID: "d1", Read: w.clock.Now(), MemoryStats: metadata.MemoryStats{Usage: 7}, CPUStats: metadata.CPUStats{CPUUsage: metadata.CPUUsage{TotalUsage: 1000 * n}, SystemCPUUsage: 10000 * n},
		Networks: map[string]metadata.NetworkStats{"eth0": {RxBytes: 500 * n, TxBytes: 50 * n}}, BlkioStats: metadata.NewBlkioStats(),
	}, nil
}

func (w *world) AsTaskRole(ctx context.Context, eni, id string) (context.Context, error) {
	if eni != "eni-task" || id != "c1" || w.noRole {
		return nil, nil
	}
	return identity.With(ctx, identity.Caller{ARN: "the task role"}), nil
}

// GetTaskProtection and UpdateTaskProtection are ECS's.
func (w *world) GetTaskProtection(ctx context.Context, in *ecsapi.GetTaskProtectionInput) (*ecsapi.GetTaskProtectionOutput, error) {
	if identity.From(ctx).ARN != "the task role" || *in.Cluster != clusterARN || len(in.Tasks) != 1 || in.Tasks[0] != taskARN {
		return nil, errors.New("not as it should be called")
	}
	if w.failure != nil {
		return &ecsapi.GetTaskProtectionOutput{Failures: []ecsapi.Failure{*w.failure}}, w.denied
	}
	return &ecsapi.GetTaskProtectionOutput{ProtectedTasks: []ecsapi.ProtectedTask{w.protection}}, w.denied
}

func (w *world) UpdateTaskProtection(ctx context.Context, in *ecsapi.UpdateTaskProtectionInput) (*ecsapi.UpdateTaskProtectionOutput, error) {
	w.protection = ecsapi.ProtectedTask{TaskArn: &in.Tasks[0], ProtectionEnabled: in.ProtectionEnabled}
	if *in.ProtectionEnabled {
		until := now.Add(time.Duration(*in.ExpiresInMinutes) * time.Minute)
		w.protection.ExpirationDate = &until
	}
	out, err := w.GetTaskProtection(ctx, &ecsapi.GetTaskProtectionInput{Cluster: in.Cluster, Tasks: in.Tasks})
	if err != nil {
		return nil, err
	}
	return &ecsapi.UpdateTaskProtectionOutput{ProtectedTasks: out.ProtectedTasks, Failures: out.Failures}, nil
}

const (
	clusterARN = "arn:aws:ecs:us-east-1:000000000000:cluster/chat"
	taskARN    = "arn:aws:ecs:us-east-1:000000000000:task/chat/1"
)

func (w *world) TaskCredentials(_ context.Context, eni, id string) (*metadata.Credentials, error) {
	if eni != "eni-task" || id != "cred" {
		return nil, nil
	}
	return w.creds, nil
}

func (w *world) Instance(_ context.Context, eni string) (*metadata.Instance, error) {
	if eni != "eni-instance" {
		return nil, nil
	}
	return &metadata.Instance{
		ID: "i-0123456789abcdef0", ImageID: "ami-1", Type: "t3.micro", Account: "000000000000", Region: "us-east-1", Zone: "us-east-1a", PrivateIP: "10.0.0.11",
		PublicIP: "198.18.0.20", LaunchTime: now, RequireToken: w.required, Profile: w.profile, SecurityGroupNames: []string{"a", "b"},
		Interfaces: []metadata.Interface{{ID: "eni-instance", MAC: "02:00:00:00:00:01", SubnetID: "subnet-1", VPCID: "vpc-b", VPCCIDRs: []string{"10.0.0.0/16"}}},
	}, nil
}

func (w *world) InstanceCredentials(context.Context, string) (*metadata.Credentials, error) {
	return w.creds, w.err
}

func setup() (*world, *metadata.Server, *clock.Fake) {
	w := &world{creds: &metadata.Credentials{RoleARN: "arn:aws:iam::000000000000:role/r", AccessKeyID: "ASIA1", SecretAccessKey: "s", Token: "t", Expiration: now.Add(6 * time.Hour), LastUpdated: now}}
	c := clock.NewFake(now)
	w.clock = c
	return w, metadata.New(metadata.Options{Locator: w, Tasks: w, ECS: w, Instances: w, Clock: c, Log: slog.New(slog.DiscardHandler)}), c
}

func call(h http.Handler, method, from, path string, header ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = from + ":40000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func expect(t *testing.T, what string, code int, body string, wantCode int, wantBody string) {
	t.Helper()
	if code != wantCode || !strings.Contains(body, wantBody) {
		t.Errorf("%s: %d %s, want %d with %q", what, code, body, wantCode, wantBody)
	}
}

func TestTaskMetadata(t *testing.T) {
	w, s, _ := setup()
	h := s.TaskHandler("vpc-a")
	get := func(from, path string) (int, string) { return call(h, "GET", from, path) }
	for _, c := range []struct {
		what, from, path string
		code             int
		body             string
	}{
		{"container", "10.0.0.10", "/v4/c1", 200, `"Name":"chat"`},
		{"version 3", "10.0.0.10", "/v3/c1", 200, `"DockerId":"d1"`},
		{"task", "10.0.0.10", "/v4/c1/task", 200, `"Revision":"3"`},
		{"tags", "10.0.0.10", "/v4/c1/taskWithTags", 200, `"TaskTags":{"k":"v"}`},
		{"another's id", "10.0.0.10", "/v4/other", 404, "unable to get docker ID from v3 endpoint ID: other"},
		{"another caller", "10.0.0.11", "/v4/c1", 404, "unable to get docker ID"},
		{"nobody", "10.0.0.99", "/v4/c1", 403, "10.0.0.99"},
		{"credentials", "10.0.0.10", "/v2/credentials/cred", 200, `"AccessKeyId":"ASIA1"`},
		{"credentials by query", "10.0.0.10", "/v2/credentials?id=cred", 200, `"Expiration":"2026-11-23T18:00:00Z"`},
		{"another's credentials", "10.0.0.11", "/v2/credentials/cred", 400, "InvalidIdInRequest"},
		{"no id", "10.0.0.10", "/v2/credentials", 400, "NoIdInRequest"},
		{"elsewhere", "10.0.0.10", "/latest/meta-data/", 404, ""},
	} {
		code, body := get(c.from, c.path)
		expect(t, c.what, code, body, c.code, c.body)
	}
	if _, body := get("10.0.0.10", "/v4/c1/task"); strings.Contains(body, "TaskTags") || strings.Contains(body, "PullStartedAt") {
		t.Errorf("the task shows what it should not: %s", body)
	}
	// Version 3 knows less.
	for _, path := range []string{"/v3/c1", "/v3/c1/task", "/v3/c1/taskWithTags"} {
		_, body := get("10.0.0.10", path)
		for _, word := range []string{"MACAddress", "LogDriver", "ContainerARN", "Snapshotter", "LaunchType", "ServiceName", "FaultInjectionEnabled", "RestartCount"} {
			if strings.Contains(body, word) {
				t.Errorf("%s has %s: %s", path, word, body)
			}
		}
		if !strings.Contains(body, `"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.0.10"]}]`) || strings.Contains(body, `"TaskTags":{"k":"v"}`) != strings.HasSuffix(path, "Tags") {
			t.Errorf("%s: %s", path, body)
		}
	}
	if _, body := get("10.0.0.10", "/v4/c1/task"); !strings.Contains(body, `"FaultInjectionEnabled":false`) || !strings.Contains(body, `"LogDriver":"awslogs"`) {
		t.Errorf("version 4: %s", body)
	}
	w.err = errors.New("the store is on fire")
	code, body := get("10.0.0.10", "/v4/other")
	expect(t, "fault", code, body, 500, "internal error")
	if strings.Contains(body, "fire") {
		t.Error("the cause is told to the asker")
	}
}

func TestInstanceMetadata(t *testing.T) {
	w, s, c := setup()
	h := s.InstanceHandler("vpc-b")
	const from, meta = "10.0.0.10", "/latest/meta-data/"
	get := func(path string, header ...string) (int, string) { return call(h, "GET", from, path, header...) }
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/", 200, "2021-07-15\n"},
		{"/latest", 200, "dynamic/\nmeta-data/"},
		{meta + "instance-id", 200, "i-0123456789abcdef0"},
		{"/2021-07-15/meta-data/instance-type", 200, "t3.micro"},
		{meta + "placement/", 200, "availability-zone\nregion"},
		{meta + "public-ipv4", 200, "198.18.0.20"},
		{meta + "security-groups", 200, "a\nb"},
		{meta + "network/interfaces/macs/", 200, "02:00:00:00:00:01/"},
		{meta + "network/interfaces/macs/02:00:00:00:00:01/subnet-id", 200, "subnet-1"},
		{"/latest/dynamic/instance-identity/document", 200, `"instanceId": "i-0123456789abcdef0"`},
		{meta + "iam/info", 404, "404 - Not Found"},
		{meta + "iam/security-credentials/", 404, ""},
		{"/latest/user-data", 404, ""},
		{"/nonsense/meta-data", 404, ""},
		{meta + "instance-id/x", 404, ""},
	} {
		code, body := get(c.path)
		expect(t, c.path, code, body, c.code, c.want)
	}
	if code, _ := call(s.InstanceHandler("vpc-a"), "GET", "10.0.0.10", meta); code != 404 {
		t.Errorf("a task is told it is an instance: %d", code)
	}

	w.profile = &metadata.Profile{ARN: "arn:aws:iam::000000000000:instance-profile/p", ID: "AIPA1", RoleName: "r"}
	code, body := get(meta + "iam/security-credentials/")
	expect(t, "role", code, body, 200, "r")
	code, body = get(meta + "iam/security-credentials/r")
	expect(t, "credentials", code, body, 200, `"AccessKeyId": "ASIA1"`)
	code, body = get(meta + "iam/security-credentials/other")
	expect(t, "another role", code, body, 404, "")
	code, body = get(meta + "iam/info")
	expect(t, "profile", code, body, 200, "instance-profile/p")
	w.err = errors.New("AccessDenied")
	code, body = get(meta + "iam/security-credentials/r")
	expect(t, "a role that does not trust EC2", code, body, 200, "AssumeRoleUnauthorizedAccess")
	w.err = nil

	// Tokens.
	put := func(header ...string) (int, string) { return call(h, "PUT", from, "/latest/api/token", header...) }
	code, _ = put()
	expect(t, "no ttl", code, "", 400, "")
	code, _ = put("X-aws-ec2-metadata-token-ttl-seconds", "21601")
	expect(t, "ttl too long", code, "", 400, "")
	code, _ = put("X-aws-ec2-metadata-token-ttl-seconds", "60", "X-Forwarded-For", "1.2.3.4")
	expect(t, "through a proxy", code, "", 403, "")
	_, token := put("X-aws-ec2-metadata-token-ttl-seconds", "60")
	code, _ = get(meta, "X-aws-ec2-metadata-token", token)
	expect(t, "token", code, "", 200, "")
	code, _ = get(meta, "X-aws-ec2-metadata-token", "x"+token[1:])
	expect(t, "forged", code, "", 401, "")
	w.required = true
	code, _ = get(meta)
	expect(t, "no token where one is required", code, "", 401, "")
	c.Advance(time.Minute)
	code, _ = get(meta, "X-aws-ec2-metadata-token", token)
	expect(t, "old token", code, "", 401, "")
	code, _ = call(h, "POST", from, meta)
	expect(t, "POST", code, "", 405, "")
}

// loopback opens a VPC's listeners on loopback.
type loopback struct{ addrs map[netip.AddrPort]string }

func (l *loopback) Listen(_ context.Context, vpc string, addr netip.AddrPort) (net.Listener, error) {
	if vpc != "vpc-a" {
		return nil, fmt.Errorf("%s is not there yet", vpc)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.addrs[addr] = ln.Addr().String()
	}
	return ln, err
}

// TestSDKFindsItsRole: the Go SDK and the aws CLI take their keys from the
// instance metadata service.
func TestSDKFindsItsRole(t *testing.T) {
	w, s, _ := setup()
	w.required = true
	w.profile = &metadata.Profile{RoleName: "r"}
	w.creds.Expiration = time.Now().Add(time.Hour)
	n := &loopback{addrs: map[netip.AddrPort]string{}}
	ls := metadata.NewListeners(s, n)
	defer ls.Close()
	if err := ls.Set(t.Context(), []string{"vpc-a", "vpc-b"}); err == nil || !strings.Contains(err.Error(), "vpc-b") {
		t.Errorf("the VPC that is not there yet: %v", err)
	}
	endpoint := "http://" + n.addrs[netip.AddrPortFrom(metadata.InstanceAddr, 80)]
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("HOME", t.TempDir())
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "ASIA1" || creds.SessionToken != "t" {
		t.Errorf("the SDK got %+v: %v", creds.AccessKeyID, err)
	}
	if path, err := exec.LookPath("/usr/bin/aws"); err == nil {
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint+"/") // botocore joins without a slash
		out, err := exec.Command(path, "configure", "list").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "iam-role") {
			t.Errorf("the CLI: %v\n%s", err, out)
		}
	}
	if err := ls.Set(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(endpoint); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		t.Error("the endpoint of a VPC that is gone still answers")
	}
}

func TestKeeper(t *testing.T) {
	c := clock.NewFake(now)
	asked := 0
	k := metadata.NewKeeper(c, func(_ context.Context, role, session string) (*metadata.Credentials, error) {
		asked++
		if role == "bad" {
			return nil, errors.New("no")
		}
		return &metadata.Credentials{AccessKeyID: fmt.Sprint(role, session, asked), Expiration: c.Now().Add(time.Hour)}, nil
	})
	get := func() string {
		t.Helper()
		got, err := k.Get(t.Context(), "r", "s")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(got.AccessKeyID)
		return string(b)
	}
	for range 2 {
		if get() != `"rs1"` {
			t.Error("not kept")
		}
	}
	c.Advance(41 * time.Minute)
	if get() != `"rs2"` {
		t.Error("not renewed")
	}
	k.Forget("s")
	if get() != `"rs3"` {
		t.Error("not forgotten")
	}
	if _, err := k.Get(t.Context(), "bad", "s"); err == nil {
		t.Error("a role that cannot be assumed gave keys")
	}
}

// TestStats: a measurement comes with the one before it, which is taken at once
// when there is none.
func TestStats(t *testing.T) {
	w, s, c := setup()
	h := s.TaskHandler("vpc-a")
	ask := func(path string) (st metadata.Stats, body string) {
		t.Helper()
		answered := make(chan string, 1)
		go func() {
			_, body := call(h, "GET", "10.0.0.10", path)
			answered <- body
		}()
		for {
			select {
			case body := <-answered:
				if err := json.Unmarshal([]byte(body), &st); err != nil {
					t.Errorf("%s: %v", body, err)
				}
				return st, body
			case <-time.After(5 * time.Millisecond):
				c.Advance(100 * time.Millisecond)
			}
		}
	}
	first, body := ask("/v4/c1/stats")
	if first.CPUStats.CPUUsage.TotalUsage != 2000 || first.PreCPUStats.CPUUsage.TotalUsage != 1000 || first.PreCPUStats.SystemCPUUsage != 10000 || !first.PreRead.Before(first.Read) {
		t.Errorf("%s", body)
	}
	for _, word := range []string{`"usage":7`, `"io_service_bytes_recursive":[]`, `"storage_stats":{}`, `"num_procs":0`, `"rx_bytes":1000`} {
		if !strings.Contains(body, word) {
			t.Errorf("no %s in %s", word, body)
		}
	}
	c.Advance(time.Second)
	next, body := ask("/v3/c1/stats")
	if next.PreCPUStats.CPUUsage.TotalUsage != 2000 || next.CPUStats.CPUUsage.TotalUsage != 3000 || !next.PreRead.Equal(first.Read) || next.NetworkRate == nil {
		t.Errorf("%s", body)
	}
	if rate := next.NetworkRate.RxBytesPerSecond; rate <= 0 || rate > 500 {
		t.Errorf("%v bytes a second: %s", rate, body)
	}
	c.Advance(2 * time.Minute) // too long ago
	if later, body := ask("/v4/c1/stats"); later.PreCPUStats.CPUUsage.TotalUsage != 4000 || later.CPUStats.CPUUsage.TotalUsage != 5000 {
		t.Errorf("%s", body)
	}
	c.Advance(time.Second)
	code, body := call(h, "GET", "10.0.0.10", "/v4/c1/task/stats")
	expect(t, "task's stats", code, body, 200, `"d2":null`)
	if !strings.Contains(body, `"d1":{"read"`) {
		t.Errorf("%s", body)
	}
	w.measured = 0
}

// TestProtection: a task asks and sets its protection as its own role.
func TestProtection(t *testing.T) {
	const path = "/api/c1/task-protection/v1/state"
	for _, c := range []struct {
		what, method, from, path, body string
		change                         func(w *world)
		code                           int
		want                           string
	}{
		{"set", "PUT", "10.0.0.10", path, `{"ProtectionEnabled":true,"ExpiresInMinutes":60}`, nil, 200, `{"protection":{"ExpirationDate":"2026-11-23T13:00:00Z","ProtectionEnabled":true,"TaskArn":"` + taskARN + `"}}`},
		{"given up", "PUT", "10.0.0.10", path, `{"ProtectionEnabled":false}`, nil, 200, `{"protection":{"ExpirationDate":null,"ProtectionEnabled":false,"TaskArn":"` + taskARN + `"}}`},
		{"asked", "GET", "10.0.0.10", path, "", func(w *world) {
			w.protection = ecsapi.ProtectedTask{ProtectionEnabled: aws.Ptr(false), TaskArn: aws.Ptr(taskARN)}
		}, 200, `"ProtectionEnabled":false`},
		{"a failure", "GET", "10.0.0.10", path, "", func(w *world) { w.failure = &ecsapi.Failure{Arn: aws.Ptr(taskARN), Reason: aws.Ptr("TASK_NOT_VALID")} }, 200, `{"failure":{"Arn":"` + taskARN + `","Detail":null,"Reason":"TASK_NOT_VALID"}}`},
		{"denied", "GET", "10.0.0.10", path, "", func(w *world) { w.denied = ecsapi.AccessDeniedException("User: x is not authorized") }, 400, `"error":{"Arn":"` + taskARN + `","Code":"AccessDeniedException","Message":"User: x is not authorized"}`},
		{"no role", "PUT", "10.0.0.10", path, `{"ProtectionEnabled":true}`, func(w *world) { w.noRole = true }, 403, `"Message":"Invalid Request: no task IAM role credentials available for task"`},
		{"another task's", "GET", "10.0.0.11", path, "", nil, 404, `{"error":{"Code":"ResourceNotFoundException","Message":"Failed to find a task for the request"}}`},
		{"no JSON", "PUT", "10.0.0.10", path, "yes", nil, 400, `{"error":{"Code":"InvalidParameterException","Message":"UpdateTaskProtection: failed to decode request"}}`},
		{"an unknown field", "PUT", "10.0.0.10", path, `{"ProtectionEnabled":true,"Forever":true}`, nil, 400, "failed to decode request"},
		{"nothing said", "PUT", "10.0.0.10", path, `{"ExpiresInMinutes":1}`, nil, 400, "Invalid request: does not contain 'ProtectionEnabled' field"},
		{"another method", "POST", "10.0.0.10", path, `{}`, nil, 404, ""},
	} {
		w, s, _ := setup()
		if c.change != nil {
			c.change(w)
		}
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.RemoteAddr = c.from + ":40000"
		rec := httptest.NewRecorder()
		s.TaskHandler("vpc-a").ServeHTTP(rec, r)
		expect(t, c.what, rec.Code, rec.Body.String(), c.code, c.want)
	}
}
