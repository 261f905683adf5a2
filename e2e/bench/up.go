package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"minato/daemon/control"
	"minato/e2e/harness"
)

// instances counts the instances of this run; each has a range of its own,
// apart from those of the tests, which may run beside.
var instances byte

func (b *bench) instance() (*harness.Instance, error) {
	instances++
	dir := filepath.Join(b.dir, fmt.Sprint("i", instances))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	in, err := harness.New(b.binary, dir)
	if err != nil {
		return nil, err
	}
	in.CIDR = fmt.Sprintf("240.20.%d.0/20", instances%16*16)
	in.Extra = []string{"--host-names=false"}
	return in, nil
}

// up measures the first start of an instance, a later one, and the memory of
// one that nobody uses.
func (b *bench) up(ctx context.Context) error {
	var first, again []float64
	const rounds = 5
	for i := range rounds {
		in, err := b.instance()
		if err != nil {
			return err
		}
		err = b.upOnce(ctx, in, &first, &again, i == rounds-1)
		if e := in.Down(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	b.add("up_ready_ms", median(first), 0)
	b.add("up_again_ready_ms", median(again), 0)
	return nil
}

func (b *bench) upOnce(ctx context.Context, in *harness.Instance, first, again *[]float64, idle bool) error {
	begin := time.Now()
	if err := in.Up(); err != nil {
		return err
	}
	*first = append(*first, milliseconds(time.Since(begin)))
	if idle {
		select { // what the start left is collected, the rest is what stays
		case <-time.After(15 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		mib, err := memory(in)
		if err != nil {
			return err
		}
		b.add("idle_mib", mib, 1)
	}
	if err := command(in, "down"); err != nil {
		return err
	}
	begin = time.Now()
	if err := in.Up(); err != nil {
		return err
	}
	*again = append(*again, milliseconds(time.Since(begin)))
	return nil
}

func command(in *harness.Instance, args ...string) error {
	out, err := exec.Command(in.Binary, append(args, "--data-dir", in.DataDir)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("minato %v: %w\n%s", args, err, out)
	}
	return nil
}

func status(in *harness.Instance) (control.Status, error) {
	var s control.Status
	out, err := exec.Command(in.Binary, "status", "-o", "json", "--data-dir", in.DataDir).Output()
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(out, &s)
}

// memory adds the proportional set sizes of the processes that an instance lists.
func memory(in *harness.Instance) (mib float64, err error) {
	s, err := status(in)
	if err != nil {
		return 0, err
	}
	for _, p := range s.Processes {
		m, err := pss(p.PID)
		if err != nil {
			return 0, err
		}
		mib += m
	}
	return mib, nil
}

// pss is a process's proportional set size: what is private, and its share of
// what is shared.
func pss(pid int) (mib float64, err error) {
	f, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(f))
	for lines.Scan() {
		if rest, ok := bytes.CutPrefix(lines.Bytes(), []byte("Pss:")); ok {
			kib, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
			return float64(kib) / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no proportional set size", pid)
}

// freePort is one that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
