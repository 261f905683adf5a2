// Command bench measures minato against its budgets (DESIGN.md) and against the
// programs people use for the same: `make bench` runs all of it and ends with
// lines `NAME VALUE`. docs/performance.md tells the methods.
//
// It starts instances of its own (e2e/harness) and the peers that are installed
// (scripts/bench-setup); a peer that is missing is said to be. All traffic goes
// to loopback and to the instances' own addresses, every wait and every load is
// bounded, and everything started is stopped, also after Ctrl-C.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// roles are the first arguments of the processes that this program starts from
// itself.
var roles = map[string]func(args []string) error{
	upstreamRole: serveUpstream,
	engineRole:   serveEngine,
	pacedRole:    pace,
	holdRole:     hold,
}

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		fail(roles[os.Args[1]](os.Args[2:]))
		return
	}
	only := flag.String("run", "", "measure only what matches this expression: up, describe, runtask, adopt, push, stack, rollout, recovery, proxy; of the rollout set: rollouts, swarm, breaker, runtasks, idle")
	set := flag.String("set", "budgets", "what to measure: budgets (make bench), rollout (make bench-rollout) or alb (make bench-alb)")
	binary := flag.String("minato", "bin/minato", "the program to measure")
	temp := flag.String("dir", "", "where instances and files are made (default: a new folder below $TMPDIR)")
	sizes := flag.String("sizes", "2,6,20,50", "how many tasks the rollouts have")
	b := &bench{}
	flag.StringVar(&b.flags.rows, "rows", "", "of the set alb measure only the rows that match this expression")
	flag.IntVar(&b.flags.rounds, "rounds", 5, "of the set alb: how many rounds")
	flag.Float64Var(&b.flags.seconds, "seconds", 2, "of the set alb: how long each load lasts")
	flag.BoolVar(&b.flags.engine, "engine", false, "of the set alb: minato's engine in a process of its own instead of the daemon")
	flag.Parse()
	match, err := regexp.Compile(*only)
	fail(err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.binary = *binary
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(text)
		fail(err)
		b.sizes = append(b.sizes, n)
	}
	fail(b.run(ctx, *temp, *set, match))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run: where it works and what it has found so far.
type bench struct {
	report
	binary string // minato
	answer string // the static program of the image, see answer
	dir    string
	sizes  []int  // of rollouts
	world  *world // the instance that most measurements share; made when first needed

	flags          albOptions
	failedRequests int // of minato's load balancer
}

// measurement is one part of a run.
type measurement struct {
	name string
	run  func(*bench, context.Context) error
}

// sets are what one command measures.
var sets = map[string][]measurement{
	"budgets": {
		{"up", (*bench).up},
		{"describe", (*bench).describe},
		{"runtask", (*bench).runTask},
		{"adopt", (*bench).adopt},
		{"stack", (*bench).stack},
		{"rollout", (*bench).rollout},
		{"recovery", (*bench).recovery},
		{"push", (*bench).push},
		{"proxy", (*bench).proxy},
	},
	"rollout": {
		{"rollouts", (*bench).rollouts},
		{"swarm", (*bench).swarm},
		{"breaker", (*bench).breaker},
		{"runtasks", (*bench).runTasks},
		{"idle", (*bench).idle},
	},
	"alb": {{"alb", (*bench).alb}},
}

// run measures what matches and prints the figures, also when something failed.
func (b *bench) run(ctx context.Context, temp, set string, match *regexp.Regexp) (err error) {
	if os.Getuid() != 0 {
		return fmt.Errorf("instances make network namespaces and containers: run this as root")
	}
	if b.binary, err = filepath.Abs(b.binary); err != nil {
		return err
	}
	if sets[set] == nil {
		return fmt.Errorf("there is no set %s", set)
	}
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("%w: make build first", err)
	}
	dir, err := os.MkdirTemp(temp, "minato-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir, b.answer = dir, filepath.Join(dir, "answer")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.answer, "minato/e2e/bench/answer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	b.machine()
	failed := 0
	for _, m := range sets[set] {
		if !match.MatchString(m.name) {
			continue
		}
		b.say("%s (load average %s)", m.name, loadAverage())
		limit, cancel := context.WithTimeout(ctx, 20*time.Minute) // all rows of alb take nine
		err := m.run(b, limit)
		cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			failed++
			b.leave("%s failed: %v", m.name, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if b.world != nil {
		if err := b.world.close(); err != nil {
			failed++
			b.leave("the instance did not go: %v", err)
		}
	}
	b.print(os.Stdout)
	if failed > 0 {
		return fmt.Errorf("%d measurements failed", failed)
	}
	return nil
}
