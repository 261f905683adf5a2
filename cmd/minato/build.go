package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	ecrapi "minato/aws/api/ecr"
	"minato/aws/sigv4"
	"minato/daemon/instance"
	"minato/daemon/relay"
	"minato/dataplane/build"
)

// assignments is a flag that may be given several times, as NAME=value. A name
// alone takes its value from the environment, as with docker.
type assignments map[string]string

// String implements flag.Value.
func (a assignments) String() string { return "" }

// Set implements flag.Value.
func (a assignments) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if name == "" {
		return errors.New("NAME=value is expected")
	}
	if !ok {
		if value, ok = os.LookupEnv(name); !ok {
			return nil
		}
	}
	a[name] = value
	return nil
}

func runBuild(ctx context.Context, c *cli, args []string) error {
	r := build.Request{Args: assignments{}, Labels: assignments{}, Progress: c.stderr}
	c.flags.StringVar(&r.Tag, "t", "", "the image's name, such as the repository's URI with a tag")
	c.flags.StringVar(&r.Output, "o", "", "write an OCI archive to this file (skopeo: oci-archive:FILE)")
	c.flags.BoolVar(&r.Push, "push", false, "push to the registry in the name")
	c.flags.StringVar(&r.Dockerfile, "f", "", "the Dockerfile, if it is not DIR/Dockerfile")
	c.flags.StringVar(&r.Target, "target", "", "build this stage of the Dockerfile")
	c.flags.StringVar(&r.Platform, "platform", "", "build for another platform, such as linux/arm64")
	c.flags.BoolVar(&r.NoCache, "no-cache", false, "do every step anew")
	c.flags.Var(assignments(r.Args), "build-arg", "NAME=value of an ARG; may be given several times")
	c.flags.Var(assignments(r.Labels), "label", "NAME=value of a label; may be given several times")
	dir, err := c.parseAround(args)
	if err != nil {
		return err
	}
	r.Context = dir
	if address := os.Getenv(relay.Variable); address != "" { // in a workspace
		digest, err := relay.Build(ctx, address, dir, r.Dockerfile, r.Output, relay.Request{
			Tag: r.Tag, Target: r.Target, Platform: r.Platform, NoCache: r.NoCache, Args: r.Args, Labels: r.Labels, Push: r.Push,
		}, c.stderr)
		return c.built(&r, digest, err)
	}
	in, err := instance.Open(c.dataDir)
	if err != nil {
		return err
	}
	config := build.At(in.DataDir, in.RunDir())
	state, err := in.State()
	switch {
	case errors.Is(err, instance.ErrNotRunning): // an image can be built before anything runs
	case err != nil:
		return err
	default:
		endpoint, err := url.Parse(state.Endpoint)
		if err != nil {
			return err
		}
		config.Registries = []build.Registry{{Suffix: ".dkr.ecr." + state.Region + ".amazonaws.com", Address: endpoint.Host}}
		r.Credentials = func(ctx context.Context, _ string) (string, string, error) { return ecrLogin(ctx, in, state) }
	}
	result, err := build.Run(ctx, config, r)
	return c.built(&r, result.Digest, err)
}

// built says what became of a build.
func (c *cli) built(r *build.Request, digest string, err error) error {
	switch {
	case err != nil:
		return err
	case r.Output == "" && !r.Push:
		fmt.Fprintln(c.stderr, "built; the image is in the builder's cache only: -o FILE writes it, --push pushes it")
	default:
		fmt.Fprintln(c.stdout, digest)
	}
	return nil
}

// parseAround reads flags before and after the one argument, the directory.
func (c *cli) parseAround(args []string) (dir string, err error) {
	for first := true; first || len(args) > 0; first = false {
		if err := c.parse(args); err != nil {
			return "", err
		}
		if args = c.flags.Args(); len(args) == 0 {
			break
		}
		if dir != "" {
			return "", fmt.Errorf("one directory is expected, not %q too: %w", args[0], errUsage)
		}
		dir, args = args[0], args[1:]
	}
	if dir == "" {
		return "", fmt.Errorf("the directory with the Dockerfile is missing: %w", errUsage)
	}
	return filepath.Abs(dir)
}

// ecrLogin asks for a registry login with the keys in the environment, if
// there are any, else with the instance's own.
func ecrLogin(ctx context.Context, in instance.Instance, state instance.State) (user, password string, err error) {
	signer := sigv4.Signer{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		Region: state.Region, Service: ecrapi.Model.SigningName,
	}
	if signer.AccessKeyID == "" {
		keys, err := in.Keys()
		if err != nil {
			return "", "", err
		}
		signer.AccessKeyID, signer.Secret, signer.SessionToken = keys.AccessKeyID, keys.SecretAccessKey, ""
	}
	body := []byte("{}")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, state.Endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", ecrapi.Model.TargetPrefix+".GetAuthorizationToken")
	signer.Sign(req, body, time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", "", err
	}
	return readLogin(resp.StatusCode, text)
}

// readLogin reads the answer of GetAuthorizationToken.
func readLogin(status int, text []byte) (user, password string, err error) {
	var answer struct {
		AuthorizationData []struct{ AuthorizationToken []byte }
		Type              string `json:"__type"`
		Message           string
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", "", fmt.Errorf("GetAuthorizationToken answered %d with no JSON: %w", status, err)
	}
	if status != http.StatusOK || len(answer.AuthorizationData) == 0 {
		return "", "", fmt.Errorf("an error occurred (%s) when calling the GetAuthorizationToken operation: %s", answer.Type, answer.Message)
	}
	user, password, ok := strings.Cut(string(answer.AuthorizationData[0].AuthorizationToken), ":")
	if !ok {
		return "", "", errors.New("GetAuthorizationToken gave no user and password")
	}
	return user, password, nil
}
