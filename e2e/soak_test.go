package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	soakShort = 3   // rounds of every run of the tests
	soakLong  = 200 // rounds of MINATO_SOAK=1

	// soakRollout is about what a rollout takes here: a kill comes at a random
	// moment of it, or a little after.
	soakRollout = 2 * time.Second
	// soakConverge is how long a service may take, after a kill, to be whole again; on
	// a busy machine, for it takes seconds.
	soakConverge = 5 * time.Minute
	// A round wants so many tasks: no fewer than two, so that one is always left.
	soakLeast, soakMost = 2, 5
)

// soakVictims are what a round may kill.
var soakVictims = []string{"daemon", "containerd", "both", "shim", "log writer", "first process"}

// TestSoak rolls a service over and over, wants more or fewer tasks in the middle
// of it, and kills something with SIGKILL at a random moment. The service must
// come back by itself (but for the daemon, which is started again), and after each
// round there is exactly one of everything: as many tasks as wanted, a container,
// a network interface, a network namespace, a control group, a shim, a log writer,
// a snapshot and a healthy target each, and none more. In the end there are no
// tasks, and containerd knows of no container and no lease. Visitors come all the
// time; which of their requests may fail is said at soakVisitors.
//
// Three rounds always run; MINATO_SOAK=1 makes it 200, MINATO_SOAK=n n. All
// random choices follow from a seed, which is printed; MINATO_SOAK_SEED repeats
// them. What is killed at the chosen moment may still differ a little: the
// processes race.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("kills and rollouts take a minute")
	}
	rounds, seed, err := soakPlan()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rounds; MINATO_SOAK_SEED=%d repeats them", rounds, seed)
	random := rand.New(rand.NewPCG(seed, seed))
	w := newSoakWorld(t)
	visitors := startSoakVisitors(w.url)
	defer visitors.stop()
	var kinds []string
	for n := range rounds {
		if len(kinds) == 0 { // each kind once, in another order each time
			kinds = slices.Clone(soakVictims)
			random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		kind := kinds[0]
		kinds = kinds[1:]
		// Drawn in one place: what a round finds changes nothing of the next one's.
		moment, pick, dead := random.Int64N(int64(soakRollout)), random.IntN(1000), random.Int64N(int64(time.Second))
		tasks := soakLeast + random.IntN(soakMost-soakLeast+1)
		began := time.Now()
		err := w.soakRound(kind, tasks, time.Duration(moment), pick, time.Duration(dead), visitors)
		t.Logf("round %d: to %d tasks, %s killed after %s, whole after %s; %s", n+1, tasks, kind, time.Duration(moment).Round(time.Millisecond), time.Since(began).Round(time.Millisecond), visitors.counts())
		if err != nil {
			t.Fatalf("round %d of seed %d, %s killed: %v", n+1, seed, kind, err)
		}
		if failed := visitors.unexcused(); len(failed) > 0 {
			t.Fatalf("round %d of seed %d, %s killed: %d requests failed that should not:\n%s", n+1, seed, kind, len(failed), strings.Join(failed[:min(10, len(failed))], "\n"))
		}
	}
	visitors.stop() // those under way are waited for
	if failed := visitors.unexcused(); len(failed) > 0 {
		t.Errorf("%d requests failed after the last round of seed %d:\n%s", len(failed), seed, strings.Join(failed, "\n"))
	}
	if visitors.succeeded() == 0 {
		t.Error("no request was answered")
	}
	if err := w.scale(0); err != nil {
		t.Fatal(err)
	}
	if err := w.converged(); err != nil {
		t.Errorf("without tasks: %v", err)
	}
	if out, err := exec.Command(w.in.Binary, "down", "--data-dir", w.in.DataDir).CombinedOutput(); err != nil {
		t.Fatalf("minato down: %v\n%s", err, out)
	}
	left, _, err := w.engineLeft()
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("containerd still has %s", strings.Join(left, ", "))
	}
}

// soakPlan reads the environment.
func soakPlan() (rounds int, seed uint64, err error) {
	rounds, seed = soakShort, uint64(time.Now().UnixNano())
	if v := os.Getenv("MINATO_SOAK"); v != "" {
		if rounds, err = strconv.Atoi(v); err != nil || rounds < 1 {
			return 0, 0, fmt.Errorf("MINATO_SOAK=%q is no number of rounds", v)
		}
		if rounds == 1 {
			rounds = soakLong
		}
	}
	if v := os.Getenv("MINATO_SOAK_SEED"); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("MINATO_SOAK_SEED=%q is no seed", v)
		}
	}
	return rounds, seed, nil
}

// soakRound starts a rollout, wants another number of tasks after half a moment,
// kills after the other half, and waits until the service is whole again.
func (w *soakWorld) soakRound(kind string, tasks int, moment time.Duration, pick int, dead time.Duration, visitors *soakVisitors) error {
	if err := w.roll(); err != nil {
		return err
	}
	time.Sleep(moment / 2)
	if err := w.scale(tasks); err != nil {
		return err
	}
	time.Sleep(moment / 2)
	victims, err := w.victims(kind, pick)
	if err != nil {
		return err
	}
	excused := visitors.excuse(kind)
	for _, v := range victims {
		if err := syscall.Kill(v.pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH { // it may have ended by itself meanwhile
			return fmt.Errorf("kill %d: %w", v.pid, err)
		}
	}
	for _, v := range victims {
		if err := soakGone(v.dies, soakConverge); err != nil {
			return fmt.Errorf("%d was killed: %w", v.pid, err)
		}
	}
	if kind == "daemon" || kind == "both" {
		time.Sleep(dead) // nobody looks after anything
		if err := w.in.Up("--host-names=false"); err != nil {
			return err
		}
		if err := excused.answered(w.url); err != nil {
			return err
		}
	}
	excused.end()
	return w.converged()
}
