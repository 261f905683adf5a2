// Package demo runs the workshop from one end to the other and shows it: each
// step with the command a learner would type, the two walls and why they stand
// there, and the rollout drawn while it happens. It is a client like any other:
// it runs the installed aws CLI and this program's own subcommands.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options is what the journey needs to know.
type Options struct {
	Self    string   // path of the minato binary
	DataDir string   // the instance, which is up
	Env     []string // the environment of an admin's client
	Source  string   // the folder examples/workshop
	Out     *os.File
}

// journey is one run of the demo.
type journey struct {
	Options
	ui   *ui
	work string
	made []string // what stands, for the end and for Ctrl-C

	stack   map[string]string // logical to physical ids
	repo    string            // repository URI
	key     accessKey
	url     string
	tg      string
	cluster string
}

type accessKey struct{ AccessKeyID, SecretAccessKey string }

// Run goes the whole way. When it is interrupted or fails it says what stands
// and how to remove it.
func Run(ctx context.Context, opt Options) error {
	work, err := os.MkdirTemp("", "minato-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	j := &journey{Options: opt, ui: newUI(opt.Out), work: work, cluster: "chat"}
	for i, c := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"The stack, and the first wall: what the template asks for is retired", j.firstWall},
		{"The template mended: everything but ECS comes up", j.createStack},
		{"The image, and the second wall: a right that nobody gave", j.pushImage},
		{"Cluster, task definition, service on Fargate behind the load balancer", j.createService},
		{"The chat", j.chat},
		{"A new version under the same tag: force new deployment, while people chat", j.rollOut},
	} {
		j.ui.chapter(i+1, c.title)
		if err := c.run(ctx); err != nil {
			j.interrupted(ctx, err)
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			return fmt.Errorf("%s: %w", strings.ToLower(c.title[:1])+c.title[1:], err)
		}
	}
	j.ending()
	return nil
}

// interrupted says what stands half done.
func (j *journey) interrupted(ctx context.Context, err error) {
	j.ui.line("")
	if ctx.Err() != nil {
		j.ui.line("%s", j.ui.style("Stopped here.", bold))
	}
	if len(j.made) > 0 {
		j.ui.say("What was made stands: %s.", strings.Join(j.made, ", "))
	}
	j.cleanUpHint()
}

func (j *journey) ending() {
	j.ui.line("")
	j.ui.line("%s  %s", j.ui.style("The workshop is done.", bold+green), j.ui.style(seconds(time.Since(j.ui.start)), dim))
	j.ui.say("The chat is open:   %s", j.ui.style(j.url+"/", bold))
	j.ui.say("Look around:        eval \"$(%s env%s)\"; aws ecs describe-services --cluster chat --services chat", j.Self, j.dataDirFlag())
	j.ui.say("What runs:          %s status%s", j.Self, j.dataDirFlag())
	j.cleanUpHint()
}

func (j *journey) cleanUpHint() {
	j.ui.say("Remove everything:  sudo %s down --purge%s", j.Self, j.dataDirFlag())
}

func (j *journey) dataDirFlag() string {
	if j.DataDir == "/var/lib/minato" {
		return ""
	}
	return " --data-dir " + j.DataDir
}

// failed is a command's failure: its words are what the learner reads.
type failed struct {
	command string
	text    string
}

func (f failed) Error() string { return f.command + ": " + f.text }

// aws runs the aws CLI, shown; out, if not nil, is filled from its JSON.
func (j *journey) aws(ctx context.Context, out any, args ...string) error {
	j.ui.call("aws " + short(args))
	return j.quiet(ctx, nil, out, args...)
}

// quiet runs the aws CLI without showing it; env is added to the environment.
func (j *journey) quiet(ctx context.Context, env []string, out any, args ...string) error {
	b, err := j.output(ctx, env, "", "aws", append([]string{"--endpoint-url", j.endpoint(), "--output", "json"}, args...)...)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func (j *journey) endpoint() string { return j.value("AWS_ENDPOINT_URL") }

// value is a variable of the client's environment; the last one counts.
func (j *journey) value(name string) string {
	v := ""
	for _, kv := range j.Env {
		if rest, ok := strings.CutPrefix(kv, name+"="); ok {
			v = rest
		}
	}
	return v
}

// output runs a program and returns what it printed.
func (j *journey) output(ctx context.Context, env []string, stdin, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(append([]string{}, j.Env...), "AWS_PAGER=", "REGISTRY_AUTH_FILE="+filepath.Join(j.work, "auth.json")), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := strings.TrimSpace(stderr.String())
		if text == "" {
			text = err.Error()
		}
		return nil, failed{command: filepath.Base(name), text: text}
	}
	return []byte(stdout.String()), nil
}

// short shows a command line as a person would write it: JSON documents and
// long values are cut.
func short(args []string) string {
	var out []string
	for _, a := range args {
		if len(a) > 72 {
			a = a[:66] + "…"
		}
		if strings.ContainsAny(a, " {}[]\"'*$") {
			a = "'" + strings.ReplaceAll(a, "'", "’") + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// timed runs a step with a spinner and marks it done.
func (j *journey) timed(what string, f func() error) error {
	begin := time.Now()
	stop := j.ui.spinner(what)
	err := f()
	stop()
	if err != nil {
		return err
	}
	j.ui.done(time.Since(begin), "%s", what)
	return nil
}

// chat signs up, writes and reads a comment, as a browser would.
func (j *journey) chat(ctx context.Context) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	post := func(path string, form url.Values) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 400 {
			return fmt.Errorf("POST %s answered %s", path, resp.Status)
		}
		return nil
	}
	j.ui.call("curl -d name=minato -d password=… " + j.url + "/signup")
	if err := post("/signup", url.Values{"name": {"minato"}, "password": {"harbour"}}); err != nil {
		return err
	}
	j.ui.call("curl --data-urlencode 'text=こんにちは' " + j.url + "/comment")
	if err := post("/comment", url.Values{"text": {"こんにちは"}}); err != nil {
		return err
	}
	body, err := get(ctx, client, j.url+"/comment")
	if err != nil {
		return err
	}
	if !strings.Contains(body, "こんにちは") {
		return fmt.Errorf("the comment is not kept: %.200s", body)
	}
	j.ui.done(0, "the comment is in the database, which only the tasks' security group reaches")
	return nil
}

func get(ctx context.Context, client *http.Client, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s answered %s", address, resp.Status)
	}
	return string(b), err
}
