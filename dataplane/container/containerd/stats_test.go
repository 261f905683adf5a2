package containerd

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"minato/dataplane/container"
)

// hierarchy writes the files of a cgroup.
func hierarchy(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestStats: both versions' files, as kernels write them, say the same.
func TestStats(t *testing.T) {
	root := hierarchy(t, map[string]string{
		"c/cpu.stat":       "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 5000\n",
		"c/memory.stat":    "anon 100\ninactive_file 50\n",
		"c/memory.current": "500\n", "c/memory.peak": "700\n", "c/memory.max": "1000\n", "c/memory.events": "low 0\nmax 2\noom_kill 0\n",
		"c/io.stat":      "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\nnonsense\n8:16 \n",
		"c/pids.current": "3\n", "c/pids.max": "max\n",
	})
	two := (&cgroups{unified: root}).stats("c")
	root = hierarchy(t, map[string]string{
		"cpuacct/c/cpuacct.usage": "3000000000\n", "cpuacct/c/cpuacct.stat": "user 200\nsystem 100\n",
		"cpu/c/cpu.stat":                 "nr_periods 10\nnr_throttled 4\nthrottled_time 5000000\n",
		"memory/c/memory.stat":           "anon 100\ntotal_inactive_file 50\n",
		"memory/c/memory.failcnt":        "2\n",
		"memory/c/memory.usage_in_bytes": "500\n", "memory/c/memory.max_usage_in_bytes": "700\n", "memory/c/memory.limit_in_bytes": "1000\n",
		"blkio/c/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\nTotal 30\n",
		"blkio/c/blkio.throttle.io_serviced_recursive":      "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n",
		"pids/c/pids.current":                               "3\n", "pids/c/pids.max": "max\n",
	})
	v1 := map[string]string{}
	for _, c := range []string{"cpuacct", "cpu", "memory", "blkio", "pids"} {
		v1[c] = filepath.Join(root, c)
	}
	one := (&cgroups{v1: v1}).stats("c")
	want := container.Stats{
		CPU: 3 * time.Second, CPUUser: 2 * time.Second, CPUKernel: time.Second,
		Throttling: container.Throttling{Periods: 10, Throttled: 4, Time: 5 * time.Millisecond},
		Memory:     450, MemoryUsage: 500, MemoryMax: 700, MemoryLimit: 1000, MemoryFails: 2, PIDs: 3,
		BlockIO: []container.BlockIO{{Major: 8, ReadBytes: 10, WriteBytes: 20, Reads: 1, Writes: 2}},
	}
	for what, got := range map[string]container.Stats{"version 1": one, "version 2": two} {
		if got.MemoryDetail["anon"] != 100 {
			t.Errorf("%s: the kernel's account %v", what, got.MemoryDetail)
		}
		got.Time, got.MemoryDetail = time.Time{}, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
		}
	}
	if got := (&cgroups{v1: map[string]string{}}).stats("gone"); got.CPU != 0 || got.BlockIO != nil {
		t.Errorf("a cgroup that is gone: %+v", got)
	}
}

func TestParseProc(t *testing.T) {
	if got := parseSystemCPU("cpu  100 0 200 300 0 0 0 0 50 0\ncpu0 1 2 3\n"); got != 6*time.Second {
		t.Errorf("system CPU %s", got)
	}
	got := parseNetDev(`Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0
`)
	want := map[string]container.NetworkStats{"eth0": {RxBytes: 1000, RxPackets: 10, RxErrors: 1, RxDropped: 2, TxBytes: 2000, TxPackets: 20, TxErrors: 3, TxDropped: 4}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("interfaces %+v", got)
	}
}
