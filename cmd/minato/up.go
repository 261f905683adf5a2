package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"minato/daemon"
	"minato/daemon/instance"
)

// readyFD is the pipe on which a daemon started by `up -d` says one line: that
// it is ready, or why it cannot be.
const readyFD = "MINATO_READY_FD"

// readyLine is that line.
type readyLine struct {
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

func runUp(ctx context.Context, c *cli, args []string) error {
	cfg := daemon.Defaults()
	detach := c.flags.Bool("d", false, "run in the background; returns when it is ready")
	c.flags.StringVar(&cfg.Listen, "listen", cfg.Listen, "the address of the API")
	c.flags.StringVar(&cfg.Region, "region", cfg.Region, "the region that runs here")
	c.flags.StringVar(&cfg.Account, "account", cfg.Account, "the account")
	cidr := c.flags.String("public-cidr", "", "the pool of public addresses (default "+daemon.DefaultPublicCIDR.String()+", and then what it was made with)")
	c.flags.Float64Var(&cfg.Pace, "pace", cfg.Pace, "divide waits in which nothing works (health-check intervals, drain delays) by N")
	c.flags.BoolVar(&cfg.HostNames, "host-names", cfg.HostNames, "put AWS's names into /etc/hosts and our CA into /etc/docker/certs.d")
	c.flags.BoolVar(&cfg.LAN, "lan", cfg.LAN, "let tasks reach private addresses of this machine's LAN")
	c.flags.BoolVar(&cfg.DevCredentials, "dev-credentials", cfg.DevCredentials, "accept any access key without checking its signature")
	c.flags.StringVar(&cfg.RetiredVersions, "retired-versions", cfg.RetiredVersions, "refuse, or accept and run the nearest")
	if err := c.parse(args); err != nil {
		return err
	}
	if c.flags.NArg() > 0 {
		return fmt.Errorf("up takes no argument %q: %w", c.flags.Arg(0), errUsage)
	}
	dataDir, err := filepath.Abs(c.dataDir)
	if err != nil {
		return err
	}
	cfg.DataDir = dataDir
	cfg.Record = os.Getenv("MINATO_RECORD")
	if *cidr != "" {
		if cfg.PublicCIDR, err = netip.ParsePrefix(*cidr); err != nil {
			return fmt.Errorf("--public-cidr %q is no range of addresses: %w", *cidr, errUsage)
		}
	}
	if err := cfg.Check(); err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	if *detach {
		return c.upDetached(ctx, cfg, args)
	}
	return daemon.Run(ctx, cfg, c.ready)
}

// ready tells whoever waits: the terminal, or the `up -d` that started us.
func (c *cli) ready(s instance.State, err error) {
	if os.Getenv(readyFD) == "" {
		if err == nil {
			c.printReady(s)
		}
		return
	}
	line := readyLine{Ready: err == nil}
	if err != nil {
		line.Error = err.Error()
	}
	f := os.NewFile(3, "ready")
	defer f.Close()
	json.NewEncoder(f).Encode(line) // nobody listens any more if it fails
}

func (c *cli) printReady(s instance.State) {
	fmt.Fprintf(c.stdout, "minato is ready\nendpoint %s\n", s.Endpoint)
	if f, home, ok := invoker(); ok {
		in, err := c.instance()
		if err == nil {
			err = leaveClientFile(in, f, home)
		}
		if err != nil {
			fmt.Fprintf(c.stderr, "your keys are not left in your home, so minato env needs sudo: %v\n", err)
		}
	}
	fmt.Fprintf(c.stdout, "use it: eval \"$(minato env%s)\" or minato aws …\n", c.dataDirFlag())
}

// dataDirFlag is what must be added to a command shown to the user for it to
// find this instance.
func (c *cli) dataDirFlag() string {
	if c.dataDir == defaultDataDir() {
		return ""
	}
	return " --data-dir " + shellQuote(c.dataDir)
}

// upDetached starts the daemon in a session of its own and waits for its word.
func (c *cli) upDetached(ctx context.Context, cfg daemon.Config, args []string) error {
	in, err := instance.Open(cfg.DataDir)
	if err != nil {
		return err
	}
	if daemon.Alive(ctx, in) {
		s, err := in.State()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, "minato was up already")
		c.printReady(s)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logName := in.Path("daemon.log")
	logFile, err := os.OpenFile(logName, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(self, append([]string{"up", "--data-dir", cfg.DataDir}, withoutDetach(args)...)...)
	cmd.Env = append(os.Environ(), readyFD+"=3")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return err
	}
	w.Close()
	line, err := bufio.NewReader(r).ReadBytes('\n')
	var said readyLine
	if err != nil || json.Unmarshal(line, &said) != nil {
		err := cmd.Wait()
		return fmt.Errorf("the daemon ended before it was ready (%w); its log is %s", cause(err), logName)
	}
	if !said.Ready {
		cmd.Wait()
		return errors.New(said.Error)
	}
	s, err := in.State()
	if err != nil {
		return err
	}
	c.printReady(s)
	return cmd.Process.Release()
}

func cause(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// withoutDetach removes -d and the data directory, which the caller names anew.
func withoutDetach(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		a := strings.TrimPrefix(args[i], "-")
		switch {
		case a == "d" || a == "-d" || strings.HasPrefix(a, "d=") || strings.HasPrefix(a, "-d="):
		case a == "data-dir" || a == "-data-dir":
			i++
		case strings.HasPrefix(a, "data-dir=") || strings.HasPrefix(a, "-data-dir="):
		default:
			out = append(out, args[i])
		}
	}
	return out
}
