// Command minato runs what the AWS hands-on "Introduction to Amazon ECS" builds
// on a machine of one's own: see README.md. It is one binary: the daemon, its
// children (containerd, the builder: re-execs of this program, decided before
// anything else) and the commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"minato/daemon/instance"
)

// Exit codes, as every subcommand uses them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one subcommand.
type command struct {
	name    string
	args    string // shown in the usage line
	summary string
	run     func(ctx context.Context, c *cli, args []string) error
}

// cli is what every subcommand is given.
type cli struct {
	stdout, stderr io.Writer
	flags          *flag.FlagSet
	dataDir        string
}

// errUsage makes the program print the usage and exit with 2.
var errUsage = errors.New("usage")

// exitError ends the program with a code and, if there is one, a message.
type exitError struct {
	code int
	msg  string
}

func (e exitError) Error() string { return e.msg }

func commands() []command {
	return []command{
		{"up", "[-d]", "start minato; prints \"minato is ready\" and the endpoint", runUp},
		{"down", "[--purge]", "stop everything that runs; --purge leaves no trace", runDown},
		{"status", "[-o json]", "what runs, where it is reached, what stands in for what", runStatus},
		{"env", "[-o json]", "export lines for eval \"$(minato env)\"", runEnv},
		{"aws", "ARGS…", "the installed aws CLI against this instance", runAWS},
		{"why", "[NAME]", "what keeps a service, task, target group, load balancer, stack, database or repository from what it should be", runWhy},
		{"logs", "[-f] NAME", "the log lines of a service (CLUSTER/SERVICE) or a task", runLogs},
		{"shell", "NAME [-- COMMAND…]", "a terminal, or a command, in a workspace", runShell},
		{"expose", "LB PORT", "let other machines reach a load balancer at a port of this one", runExpose},
		{"trust", "[-pem]", "the CA of AWS's names here, and how to give it to clients", runTrust},
		{"build", "-t REF DIR", "build an image from a Dockerfile", runBuild},
		{"demo", "", "the workshop from beginning to end", runDemo},
		{"version", "", "the version of this program", runVersion},
	}
}

func main() {
	daemonRoles()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := dispatch(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func dispatch(ctx context.Context, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(os.Stdout)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	for _, cmd := range commands() {
		if cmd.name != args[0] {
			continue
		}
		c := &cli{stdout: os.Stdout, stderr: os.Stderr}
		c.newFlags("minato " + cmd.name)
		err := cmd.run(ctx, c, args[1:])
		return report(cmd, c, err)
	}
	fmt.Fprintf(os.Stderr, "minato: there is no subcommand %q\n\n", args[0])
	usage(os.Stderr)
	return exitUsage
}

// newFlags makes a subcommand's flags, with the one that all have.
func (c *cli) newFlags(name string) {
	c.flags = flag.NewFlagSet(name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard)
	c.flags.StringVar(&c.dataDir, "data-dir", defaultDataDir(), "the instance's data directory (MINATO_DATA_DIR)")
}

// report prints an error as the subcommand's user should see it.
func report(cmd command, c *cli, err error) int {
	var exit exitError
	var child *exec.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		commandUsage(os.Stdout, cmd, c)
		return exitOK
	case errors.Is(err, errUsage):
		if msg := strings.TrimSuffix(strings.TrimSuffix(err.Error(), "usage"), ": "); msg != "" {
			fmt.Fprintf(os.Stderr, "minato %s: %s\n", cmd.name, msg)
		}
		commandUsage(os.Stderr, cmd, c)
		return exitUsage
	case errors.As(err, &exit):
		if exit.msg != "" {
			fmt.Fprintln(os.Stderr, exit.msg)
		}
		return exit.code
	case errors.As(err, &child):
		return child.ExitCode()
	}
	fmt.Fprintf(os.Stderr, "minato %s: %v\n", cmd.name, err)
	return exitFailed
}

// parse reads the flags; a wrong one is a usage error with its reason.
func (c *cli) parse(args []string) error {
	err := c.flags.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w: %w", err, errUsage)
}

// parseMixed is parse for subcommands whose flags may also stand behind their
// arguments, which it returns.
func (c *cli) parseMixed(args []string) ([]string, error) {
	var rest []string
	for {
		if err := c.parse(args); err != nil {
			return nil, err
		}
		if args = c.flags.Args(); len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// instance finds the instance of --data-dir.
func (c *cli) instance() (instance.Instance, error) { return instance.Find(c.dataDir) }

func defaultDataDir() string {
	if d := os.Getenv("MINATO_DATA_DIR"); d != "" {
		return d
	}
	return instance.DefaultDataDir
}

func usage(w io.Writer) {
	fmt.Fprint(w, "minato runs Amazon ECS, its network, load balancer, registry and databases on this machine.\n\nUsage: minato SUBCOMMAND [--data-dir DIR] …\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-28s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	fmt.Fprint(w, "\n`minato SUBCOMMAND -h` shows its flags. Exit codes: 0 done, 1 failed, 2 usage.\n")
}

func commandUsage(w io.Writer, cmd command, c *cli) {
	fmt.Fprintf(w, "Usage: minato %s\n%s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.summary)
	c.flags.SetOutput(w)
	c.flags.PrintDefaults()
}
