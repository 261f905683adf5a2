package metadata

import (
	"context"
	"net/http"
	"sync"
	"time"

	"minato/internal/clock"
)

// Stats is what docker's stats say of a container.
type Stats struct {
	Read         time.Time               `json:"read"`
	PreRead      time.Time               `json:"preread"`
	NumProcs     uint32                  `json:"num_procs"` // of Windows
	PIDsStats    PIDsStats               `json:"pids_stats"`
	StorageStats struct{}                `json:"storage_stats"` // of Windows
	CPUStats     CPUStats                `json:"cpu_stats"`
	PreCPUStats  CPUStats                `json:"precpu_stats"`
	MemoryStats  MemoryStats             `json:"memory_stats"`
	BlkioStats   BlkioStats              `json:"blkio_stats"`
	Name         string                  `json:"name"`
	ID           string                  `json:"id"`
	Networks     map[string]NetworkStats `json:"networks,omitempty"`
	// NetworkRate is the task's, over the time between PreRead and Read.
	NetworkRate *NetworkRate `json:"network_rate_stats,omitempty"`
}

// CPUStats is the processor's part of Stats; times are in nanoseconds.
type CPUStats struct {
	CPUUsage       CPUUsage       `json:"cpu_usage"`
	SystemCPUUsage uint64         `json:"system_cpu_usage"`
	OnlineCPUs     int            `json:"online_cpus"`
	ThrottlingData ThrottlingData `json:"throttling_data"`
}

// CPUUsage is time of the processors.
type CPUUsage struct {
	TotalUsage        uint64 `json:"total_usage"`
	UsageInKernelmode uint64 `json:"usage_in_kernelmode"`
	UsageInUsermode   uint64 `json:"usage_in_usermode"`
}

// ThrottlingData tells how a CPU limit held a container back.
type ThrottlingData struct {
	Periods          uint64 `json:"periods"`
	ThrottledPeriods uint64 `json:"throttled_periods"`
	ThrottledTime    uint64 `json:"throttled_time"`
}

// MemoryStats is the memory's part of Stats, in bytes.
type MemoryStats struct {
	Usage     uint64            `json:"usage"`
	MaxUsage  uint64            `json:"max_usage,omitempty"` // cgroup version 2 does not say it everywhere
	Stats     map[string]uint64 `json:"stats"`
	FailCount uint64            `json:"failcnt,omitempty"`
	Limit     uint64            `json:"limit"`
}

// PIDsStats is the processes' part of Stats.
type PIDsStats struct {
	Current uint64 `json:"current"`
	Limit   uint64 `json:"limit,omitempty"`
}

// BlkioStats is the block devices' part of Stats. Of its lists the kernel fills
// two.
type BlkioStats struct {
	IoServiceBytes []BlkioEntry `json:"io_service_bytes_recursive"`
	IoServiced     []BlkioEntry `json:"io_serviced_recursive"`
	IoQueue        []BlkioEntry `json:"io_queue_recursive"`
	IoServiceTime  []BlkioEntry `json:"io_service_time_recursive"`
	IoWaitTime     []BlkioEntry `json:"io_wait_time_recursive"`
	IoMerged       []BlkioEntry `json:"io_merged_recursive"`
	IoTime         []BlkioEntry `json:"io_time_recursive"`
	Sectors        []BlkioEntry `json:"sectors_recursive"`
}

// BlkioEntry is a counter of a block device.
type BlkioEntry struct {
	Major uint64 `json:"major"`
	Minor uint64 `json:"minor"`
	Op    string `json:"op"`
	Value uint64 `json:"value"`
}

// ReadWrite are two counters of a block device.
type ReadWrite struct{ Read, Write uint64 }

// NewBlkioStats has every list, empty.
func NewBlkioStats() BlkioStats {
	none := []BlkioEntry{}
	return BlkioStats{none, none, none, none, none, none, none, none}
}

// Add adds a block device.
func (b *BlkioStats) Add(major, minor uint64, bytes, operations ReadWrite) {
	add := func(list []BlkioEntry, n ReadWrite) []BlkioEntry {
		return append(list, BlkioEntry{major, minor, "Read", n.Read}, BlkioEntry{major, minor, "Write", n.Write}, BlkioEntry{major, minor, "Total", n.Read + n.Write})
	}
	b.IoServiceBytes, b.IoServiced = add(b.IoServiceBytes, bytes), add(b.IoServiced, operations)
}

// NetworkStats are the counters of an interface.
type NetworkStats struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxErrors  uint64 `json:"rx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxErrors  uint64 `json:"tx_errors"`
	TxDropped uint64 `json:"tx_dropped"`
}

// NetworkRate is how much goes through a task's interfaces.
type NetworkRate struct {
	RxBytesPerSecond float64 `json:"rx_bytes_per_sec"`
	TxBytesPerSecond float64 `json:"tx_bytes_per_sec"`
}

// Between how far apart two measurements are compared: on AWS the agent measures
// every second; here a container is measured when somebody asks.
const (
	leastApart = time.Second
	mostApart  = time.Minute
	firstApart = 100 * time.Millisecond // when nobody has asked before
	keptStats  = 1000                   // containers whose last measurement is kept
)

// samples are the last measurements of containers, by id.
type samples struct {
	mu   sync.Mutex
	kept map[string]Stats // guarded
}

// before returns a measurement of a container that is old enough to compare one
// of now with, if there is one.
func (s *samples) before(id string, now time.Time) (Stats, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.kept[id]
	return was, ok && now.Sub(was.Read) <= mostApart && now.After(was.Read)
}

// keep keeps a measurement, unless the one there is still too new to be replaced.
func (s *samples) keep(m Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.kept[m.ID]; ok && m.Read.Sub(was.Read) < leastApart {
		return
	}
	if len(s.kept) >= keptStats {
		s.kept = nil // of containers that are long gone, most of them
	}
	if s.kept == nil {
		s.kept = map[string]Stats{}
	}
	s.kept[m.ID] = m
}

// measure measures a container, with what it was before; nil while it does not
// run.
func (s *Server) measure(ctx context.Context, eni, id string) (*Stats, error) {
	m, err := s.Tasks.Stats(ctx, eni, id)
	if err != nil || m == nil {
		return nil, err
	}
	was, ok := s.samples.before(m.ID, m.Read)
	if !ok {
		was = *m
		if err := clock.Sleep(ctx, s.Clock, firstApart); err != nil {
			return nil, err
		}
		if m, err = s.Tasks.Stats(ctx, eni, id); err != nil || m == nil {
			return nil, err
		}
	}
	s.samples.keep(*m)
	m.compare(&was)
	return m, nil
}

// compare adds to a measurement what it was before.
func (m *Stats) compare(was *Stats) {
	m.PreRead, m.PreCPUStats = was.Read, was.CPUStats
	seconds := m.Read.Sub(was.Read).Seconds()
	if seconds <= 0 || len(m.Networks) == 0 {
		return
	}
	m.NetworkRate = &NetworkRate{}
	for name, now := range m.Networks {
		before := was.Networks[name]
		m.NetworkRate.RxBytesPerSecond += float64(now.RxBytes-min(before.RxBytes, now.RxBytes)) / seconds
		m.NetworkRate.TxBytesPerSecond += float64(now.TxBytes-min(before.TxBytes, now.TxBytes)) / seconds
	}
}

func (s *Server) stats(w http.ResponseWriter, r *http.Request, eni string) {
	if s.find(w, r, eni) == nil {
		return
	}
	st, err := s.measure(r.Context(), eni, r.PathValue("id"))
	if err != nil {
		s.fault(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, st) // null for a container that does not run
}

func (s *Server) taskStats(w http.ResponseWriter, r *http.Request, eni string) {
	t := s.find(w, r, eni)
	if t == nil {
		return
	}
	// All at once: each may have to be measured twice.
	all := make([]*Stats, len(t.Containers))
	errs := make([]error, len(t.Containers))
	var wg sync.WaitGroup
	for i := range t.Containers {
		wg.Go(func() { all[i], errs[i] = s.measure(r.Context(), eni, t.Containers[i].MetadataID) })
	}
	wg.Wait()
	out := map[string]*Stats{}
	for i := range t.Containers {
		if errs[i] != nil {
			s.fault(w, r, errs[i])
			return
		}
		out[t.Containers[i].DockerID] = all[i]
	}
	writeJSON(w, http.StatusOK, out)
}
