package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"minato/aws/sigv4"
)

// rollOut edits the header, pushes under the same tag and forces a new
// deployment while people use the chat.
func (j *journey) rollOut(ctx context.Context) error {
	if err := edit(filepath.Join(j.work, "chat"), "chat one", "chat two"); err != nil {
		return err
	}
	j.ui.call("sed -i 's/chat one/chat two/' chat/views/*")
	if err := j.buildAndPush(ctx); err != nil {
		return err
	}
	before, err := j.tasks(ctx)
	if err != nil {
		return err
	}
	people := newPeople(j.url + "/comment")
	loop, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { people.use(loop) })
	begin := time.Now()
	if err := j.aws(ctx, nil, "ecs", "update-service", "--cluster", j.cluster, "--service", "chat", "--force-new-deployment"); err != nil {
		return err
	}
	err = j.watch(ctx, before, people)
	took := time.Since(begin)
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	j.ui.done(took, "the new version is out: %d requests meanwhile, %d failed", people.made.Load(), people.failed.Load())
	if n := people.failed.Load(); n > 0 {
		return fmt.Errorf("%d of %d requests failed during the deployment", n, people.made.Load())
	}
	page, err := get(ctx, http.DefaultClient, j.url+"/")
	if err != nil {
		return err
	}
	if !strings.Contains(page, "chat two") {
		return errors.New("the old page is still served")
	}
	return nil
}

// edit replaces a text in the files of a folder that hold it.
func edit(dir, from, to string) error {
	n := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(b, []byte(from)) || bytes.IndexByte(b, 0) >= 0 {
			return err
		}
		n++
		return os.WriteFile(name, bytes.ReplaceAll(b, []byte(from), []byte(to)), 0o644)
	})
	if err == nil && n == 0 {
		err = fmt.Errorf("no file of %s holds %q", dir, from)
	}
	return err
}

// people are the requests made during the rollout, one after the other.
type people struct {
	url          string
	made, failed atomic.Int64
}

func newPeople(address string) *people { return &people{url: address} }

func (p *people) use(ctx context.Context) {
	client := &http.Client{Timeout: 5 * time.Second}
	for ctx.Err() == nil {
		_, err := get(ctx, client, p.url)
		if ctx.Err() != nil {
			return
		}
		p.made.Add(1)
		if err != nil {
			p.failed.Add(1)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// watch draws the rollout until the service is stable again with none of the
// tasks it had before.
func (j *journey) watch(ctx context.Context, before map[string]bool, p *people) error {
	deadline := time.Now().Add(5 * time.Minute)
	shown := ""
	for {
		s, err := j.service(ctx)
		if err != nil {
			return err
		}
		tasks, err := j.tasks(ctx)
		if err != nil {
			return err
		}
		health, err := j.health(ctx)
		if err != nil {
			return err
		}
		old := 0
		for t := range tasks {
			if before[t] {
				old++
			}
		}
		fresh := len(tasks) - old
		picture := fmt.Sprintf("old %s new %s  targets: %s", j.ui.style(strings.Repeat("■", old)+strings.Repeat("·", max(0, 2-old)), yellow),
			j.ui.style(strings.Repeat("■", fresh)+strings.Repeat("·", max(0, 2-fresh)), green), health)
		j.ui.move("   %s  requests %d, failed %d", picture, p.made.Load(), p.failed.Load())
		if picture != shown {
			j.ui.line("   %s", picture)
			shown = picture
		}
		if s.stable() && old == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("the deployment did not end within five minutes")
		}
		select {
		case <-time.After(150 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// service is what DescribeServices says of the chat.
type service struct {
	DesiredCount, RunningCount, PendingCount int
	Deployments                              []struct{ Status, RolloutState string }
	Events                                   []struct{ Message string }
}

// stable tells whether the deployment is over: besides what the CLI's waiter
// asks for, every new task has passed its health checks.
func (s service) stable() bool {
	return len(s.Deployments) == 1 && s.RunningCount == s.DesiredCount && s.DesiredCount > 0 && s.Deployments[0].RolloutState == "COMPLETED"
}

func (j *journey) service(ctx context.Context) (service, error) {
	var out struct{ Services []service }
	err := j.ecs(ctx, "DescribeServices", map[string]any{"cluster": j.cluster, "services": []string{"chat"}}, &out)
	if err == nil && len(out.Services) == 0 {
		err = errors.New("the service chat is gone")
	}
	if err != nil {
		return service{}, err
	}
	return out.Services[0], nil
}

// tasks are the ARNs of the tasks that are to run.
func (j *journey) tasks(ctx context.Context) (map[string]bool, error) {
	var out struct{ TaskArns []string }
	if err := j.ecs(ctx, "ListTasks", map[string]any{"cluster": j.cluster, "serviceName": "chat"}, &out); err != nil {
		return nil, err
	}
	set := map[string]bool{}
	for _, t := range out.TaskArns {
		set[t] = true
	}
	return set, nil
}

// health counts the targets by state.
func (j *journey) health(ctx context.Context) (string, error) {
	form := url.Values{"Action": {"DescribeTargetHealth"}, "Version": {"2015-12-01"}, "TargetGroupArn": {j.tg}}
	b, err := j.signed(ctx, "elasticloadbalancing", "application/x-www-form-urlencoded; charset=utf-8", "", []byte(form.Encode()))
	if err != nil {
		return "", err
	}
	var out struct {
		States []string `xml:"DescribeTargetHealthResult>TargetHealthDescriptions>member>TargetHealth>State"`
	}
	if err := xml.Unmarshal(b, &out); err != nil {
		return "", err
	}
	count := map[string]int{}
	for _, s := range out.States {
		count[s]++
	}
	var parts []string
	for _, s := range []string{"healthy", "initial", "unhealthy", "draining", "unused"} {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	if len(parts) == 0 {
		return "none", nil
	}
	return strings.Join(parts, ", "), nil
}

// ecs calls an operation of ECS directly: the CLI takes too long for a picture
// that moves.
func (j *journey) ecs(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	b, err := j.signed(ctx, "ecs", "application/x-amz-json-1.1", "AmazonEC2ContainerServiceV20141113."+operation, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func (j *journey) signed(ctx context.Context, service, contentType, target string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.endpoint()+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	sigv4.Signer{AccessKeyID: j.value("AWS_ACCESS_KEY_ID"), Secret: j.value("AWS_SECRET_ACCESS_KEY"), Region: j.value("AWS_DEFAULT_REGION"), Service: service}.Sign(req, body, time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %s", service, resp.Status, b)
	}
	return b, err
}
