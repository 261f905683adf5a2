package containerd

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"minato/dataplane/container"
)

// userHZ is the unit of the kernel's tick counters, the same everywhere.
const userHZ = 100

// Stats implements container.Runtime.
func (r *Runtime) Stats(_ context.Context, id string) (container.Stats, error) {
	c, err := r.find(id)
	if err != nil {
		return container.Stats{}, err
	}
	s := r.statusOf(c)
	if s.State != container.Running {
		return container.Stats{}, fmt.Errorf("container %s is %s: %w", id, s.State, container.ErrNotRunning)
	}
	out := r.cg.stats(r.cgroupOf(c))
	if b, err := os.ReadFile("/proc/stat"); err == nil {
		out.SystemCPU = parseSystemCPU(string(b))
	}
	// The first process' view is that of its network namespace.
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", s.PID)); err == nil {
		out.Networks = parseNetDev(string(b))
	}
	return out, nil
}

// stats measures a cgroup. What is missing, because the cgroup is just going or
// its kernel does not count it, is zero.
func (cg *cgroups) stats(path string) container.Stats {
	s := container.Stats{Time: time.Now(), PIDs: cg.number(path, "pids", "pids.current"), PIDsLimit: cg.number(path, "pids", "pids.max")}
	if cg.unified != "" {
		cg.stats2(path, &s)
	} else {
		cg.stats1(path, &s)
	}
	return s
}

func (cg *cgroups) stats2(path string, s *container.Stats) {
	cpu := parseFlat(cg.read(path, "cpu", "cpu.stat"))
	micros := func(key string) time.Duration { return time.Duration(cpu[key]) * time.Microsecond }
	s.CPU, s.CPUUser, s.CPUKernel = micros("usage_usec"), micros("user_usec"), micros("system_usec")
	s.Throttling = container.Throttling{Periods: cpu["nr_periods"], Throttled: cpu["nr_throttled"], Time: micros("throttled_usec")}
	s.MemoryDetail = parseFlat(cg.read(path, "memory", "memory.stat"))
	s.MemoryUsage = cg.number(path, "memory", "memory.current")
	s.MemoryMax = cg.number(path, "memory", "memory.peak")
	s.MemoryLimit = cg.number(path, "memory", "memory.max")
	s.MemoryFails = int64(parseFlat(cg.read(path, "memory", "memory.events"))["max"])
	s.Memory = s.MemoryUsage - int64(s.MemoryDetail["inactive_file"])
	s.BlockIO = parseIOStat(cg.read(path, "io", "io.stat"))
}

func (cg *cgroups) stats1(path string, s *container.Stats) {
	s.CPU = time.Duration(cg.number(path, "cpuacct", "cpuacct.usage"))
	ticks := parseFlat(cg.read(path, "cpuacct", "cpuacct.stat"))
	s.CPUUser = time.Duration(ticks["user"]) * time.Second / userHZ
	s.CPUKernel = time.Duration(ticks["system"]) * time.Second / userHZ
	cpu := parseFlat(cg.read(path, "cpu", "cpu.stat"))
	s.Throttling = container.Throttling{Periods: cpu["nr_periods"], Throttled: cpu["nr_throttled"], Time: time.Duration(cpu["throttled_time"])}
	s.MemoryDetail = parseFlat(cg.read(path, "memory", "memory.stat"))
	s.MemoryUsage = cg.number(path, "memory", "memory.usage_in_bytes")
	s.MemoryMax = cg.number(path, "memory", "memory.max_usage_in_bytes")
	s.MemoryLimit = cg.number(path, "memory", "memory.limit_in_bytes")
	s.MemoryFails = cg.number(path, "memory", "memory.failcnt")
	s.Memory = s.MemoryUsage - int64(s.MemoryDetail["total_inactive_file"])
	s.BlockIO = parseBlkio(cg.read(path, "blkio", "blkio.throttle.io_service_bytes_recursive"), cg.read(path, "blkio", "blkio.throttle.io_serviced_recursive"))
}

// read is the content of a cgroup's file, "" when it is not there.
func (cg *cgroups) read(path, controller, file string) string {
	dir := cg.dir(path, controller)
	if dir == "" {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return ""
	}
	return string(b)
}

// number reads a file that holds one number; "max" is 0, no limit.
func (cg *cgroups) number(path, controller, file string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(cg.read(path, controller, file)), 10, 64)
	if err != nil || n > math.MaxInt64/2 { // version 1 says "no limit" so
		return 0
	}
	return n
}

// parseFlat reads "key value" lines.
func parseFlat(text string) map[string]uint64 {
	out := map[string]uint64{}
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(v, 10, 64); ok && err == nil {
			out[k] = n
		}
	}
	return out
}

// parseIOStat reads version 2's "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …".
func parseIOStat(text string) []container.BlockIO {
	var out []container.BlockIO
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		d, ok := parseDevice(fields[0])
		if !ok {
			continue
		}
		for _, f := range fields[1:] {
			k, v, _ := strings.Cut(f, "=")
			n, _ := strconv.ParseUint(v, 10, 64) // what is no number counts nothing
			switch k {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WriteBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			}
		}
		out = append(out, d)
	}
	return out
}

// parseBlkio reads version 1's "8:0 Read 1" lines, of bytes and of operations.
func parseBlkio(bytes, operations string) []container.BlockIO {
	var out []container.BlockIO
	index := map[string]int{}
	each := func(text string, set func(d *container.BlockIO, op string, n uint64)) {
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) != 3 {
				continue // the total
			}
			d, ok := parseDevice(fields[0])
			n, err := strconv.ParseUint(fields[2], 10, 64)
			if !ok || err != nil {
				continue
			}
			i, known := index[fields[0]]
			if !known {
				i = len(out)
				index[fields[0]], out = i, append(out, d)
			}
			set(&out[i], fields[1], n)
		}
	}
	each(bytes, func(d *container.BlockIO, op string, n uint64) {
		switch op {
		case "Read":
			d.ReadBytes = n
		case "Write":
			d.WriteBytes = n
		}
	})
	each(operations, func(d *container.BlockIO, op string, n uint64) {
		switch op {
		case "Read":
			d.Reads = n
		case "Write":
			d.Writes = n
		}
	})
	return out
}

func parseDevice(text string) (container.BlockIO, bool) {
	major, minor, ok := strings.Cut(text, ":")
	a, err1 := strconv.ParseUint(major, 10, 64)
	b, err2 := strconv.ParseUint(minor, 10, 64)
	return container.BlockIO{Major: a, Minor: b}, ok && err1 == nil && err2 == nil
}

// parseSystemCPU adds up the first line of /proc/stat; guests' time is in user's
// already.
func parseSystemCPU(text string) time.Duration {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0
	}
	var ticks uint64
	for _, f := range fields[1:9] {
		n, _ := strconv.ParseUint(f, 10, 64) // what is no number counts nothing
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ
}

// parseNetDev reads /proc/<pid>/net/dev.
func parseNetDev(text string) map[string]container.NetworkStats {
	out := map[string]container.NetworkStats{}
	for line := range strings.Lines(text) {
		name, counters, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		f := strings.Fields(counters)
		if !ok || len(f) < 12 || name == "lo" {
			continue
		}
		n := func(i int) uint64 {
			v, _ := strconv.ParseUint(f[i], 10, 64) // what is no number counts nothing
			return v
		}
		out[name] = container.NetworkStats{
			RxBytes: n(0), RxPackets: n(1), RxErrors: n(2), RxDropped: n(3),
			TxBytes: n(8), TxPackets: n(9), TxErrors: n(10), TxDropped: n(11),
		}
	}
	return out
}
