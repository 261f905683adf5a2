package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"minato/daemon/instance"
)

// clientEnv is what a client needs to reach an instance as its admin.
type clientEnv struct {
	state instance.State
	keys  instance.Keys
}

func (c *cli) clientEnv() (clientEnv, error) {
	in, err := c.instance()
	if err != nil {
		return clientEnv{}, err
	}
	var e clientEnv
	if e.state, err = in.State(); err != nil {
		return clientEnv{}, err
	}
	e.keys, err = in.Keys()
	if errors.Is(err, os.ErrPermission) {
		if e.keys, err = ownKeys(in); err == nil {
			return e, nil
		}
		return clientEnv{}, fmt.Errorf("the keys in %s are root's: run this with sudo (they equal root on this machine)", in.DataDir)
	}
	return e, err
}

// set lists the variables a client needs, in a fixed order.
func (e clientEnv) set() [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", e.state.Endpoint},
		{"AWS_ACCESS_KEY_ID", e.keys.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", e.keys.SecretAccessKey},
		{"AWS_DEFAULT_REGION", e.state.Region},
	}
}

// unset lists what would overrule them.
func (e clientEnv) unset() []string {
	return []string{"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE"}
}

func runEnv(_ context.Context, c *cli, args []string) error {
	output := c.flags.String("o", "", "json for JSON instead of shell lines")
	if err := c.parse(args); err != nil {
		return err
	}
	e, err := c.clientEnv()
	if err != nil {
		return err
	}
	switch *output {
	case "json":
		m := map[string]string{}
		for _, kv := range e.set() {
			m[kv[0]] = kv[1]
		}
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	case "":
		for _, kv := range e.set() {
			fmt.Fprintf(c.stdout, "export %s=%s\n", kv[0], shellQuote(kv[1]))
		}
		fmt.Fprintf(c.stdout, "unset %s\n", strings.Join(e.unset(), " "))
		return nil
	}
	return fmt.Errorf("-o takes json: %w", errUsage)
}

// shellQuote quotes a word for a POSIX shell, if it needs it.
func shellQuote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=+,@", r))
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// runAWS runs the installed aws CLI: endpoint and keys of this instance, none
// of the user's configuration, the endpoint also by flag for CLIs too old for
// AWS_ENDPOINT_URL.
func runAWS(ctx context.Context, c *cli, args []string) error {
	if len(args) > 0 && (args[0] == "--data-dir" || strings.HasPrefix(args[0], "--data-dir=")) {
		n := 1
		if args[0] == "--data-dir" {
			n = min(2, len(args))
		}
		if err := c.parse(args[:n]); err != nil {
			return err
		}
		args = args[n:]
	}
	e, err := c.clientEnv()
	if err != nil {
		return err
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		return errors.New("there is no aws CLI on PATH: make setup installs it on Debian; else see https://aws.amazon.com/cli")
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"--endpoint-url", e.state.Endpoint}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = e.environ(os.Environ())
	return cmd.Run()
}

// environ is an environment in which clients reach this instance and nothing of
// the user's own configuration counts.
func (e clientEnv) environ(base []string) []string {
	drop := append(e.unset(), "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION")
	for _, kv := range e.set() {
		drop = append(drop, kv[0])
	}
	var out []string
	for _, kv := range base {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains(drop, name) {
			out = append(out, kv)
		}
	}
	for _, kv := range e.set() {
		out = append(out, kv[0]+"="+kv[1])
	}
	return append(out, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
}
