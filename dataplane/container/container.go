// Package container is the data plane of everything that runs: tasks, database
// engines and workspaces are containers of one Runtime. It knows no AWS.
//
// Containers stand in groups. A group is what an ECS task, a database or a
// workspace is: containers that share a network namespace (made by somebody
// else, named by its path), a host name, /etc/hosts and /etc/resolv.conf, and
// limits that hold for all of them together. Groups and containers are named by
// ids that the caller chooses and never uses twice.
//
// Package containerd implements the interface; containertest holds the contract
// that every implementation passes, and Fake for the tests of others.
//
// What the contract promises:
//
//   - Ensure is idempotent: the same group or container twice is fine, also after
//     a crash between the two.
//   - Containers outlive this process and the engine below it. A new Runtime on
//     the same data finds them again, with their logs and without a gap.
//   - An exit status is never lost: until Delete, Get and Wait tell it, whatever
//     died meanwhile. When what supervised a container died, its status says so
//     in Reason.
//   - Log lines are kept, within bounds, until their reader said Consumed.
//   - Purge leaves no process, mount, cgroup or file.
package container

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// ErrNotFound is wrapped by the errors about a group, container or image that is
// not there.
var ErrNotFound = errors.New("not found")

// ErrNotRunning is wrapped by the errors about a container that does not run:
// not yet, or not any more.
var ErrNotRunning = errors.New("not running")

// ErrStart is wrapped by the errors of Start and Exec that are the container's
// own fault: no such executable, no such user, no such directory. The text is
// the OCI runtime's.
var ErrStart = errors.New("cannot start")

// ErrPlatform is wrapped by the errors about an image that has nothing for this
// machine's architecture and operating system.
var ErrPlatform = errors.New("no manifest for this platform")

// Runtime runs containers on this machine.
type Runtime interface {
	// Import reads an OCI or docker archive and returns its images.
	Import(ctx context.Context, archive io.Reader) ([]Image, error)
	// EnsureUnpacked makes an image of the content store ready to be run and
	// returns it. digest is that of a manifest or of an index, of which this
	// machine's platform is taken. The image stays until it is released.
	EnsureUnpacked(ctx context.Context, digest string) (Image, error)
	// ReleaseImage lets go of an image: its content and its unpacked form may be
	// collected when no container and nobody else uses them.
	ReleaseImage(ctx context.Context, digest string) error

	// EnsureGroup makes a group's directory, files and limits.
	EnsureGroup(ctx context.Context, g Group) error
	// DeleteGroup kills and deletes the containers of a group, and the group. One
	// that is not there is deleted already.
	DeleteGroup(ctx context.Context, id string) error
	// Written is how many bytes of disk the containers of a group have written to
	// their own file systems, besides what is mounted.
	Written(ctx context.Context, group string) (int64, error)
	// Groups lists the ids of all groups.
	Groups(ctx context.Context) ([]string, error)

	// Ensure makes a container, not running yet, in a group that is there.
	Ensure(ctx context.Context, c Container) error
	// Start starts a container that was never started; for one that was, running
	// or ended, it does nothing.
	Start(ctx context.Context, id string) error
	// Restart starts a container again that has ended: what it wrote to its file
	// systems is there, its log goes on, and Status counts it. One that was never
	// started is started; one that runs is left alone.
	Restart(ctx context.Context, id string) error
	// Signal sends a signal to the container's first process.
	Signal(ctx context.Context, id string, sig syscall.Signal) error
	// Stop sends sig (0: the image's stop signal, or SIGTERM), after timeout
	// SIGKILL to every process, and returns when the container has ended. One that
	// has ended or never ran is stopped already.
	Stop(ctx context.Context, id string, sig syscall.Signal, timeout time.Duration) error
	// Delete removes a container, its writable layer and its logs; one that runs
	// is killed. One that is not there is deleted already.
	Delete(ctx context.Context, id string) error
	// Get returns what a container is doing.
	Get(ctx context.Context, id string) (Status, error)
	// List returns all containers, by id.
	List(ctx context.Context) ([]Status, error)
	// Wait returns a container's status when it has ended.
	Wait(ctx context.Context, id string) (Status, error)

	// Exec starts one more process in a running container. stdio's streams are
	// copied until the process ends.
	Exec(ctx context.Context, id string, p Process, stdio Stdio) (Execution, error)
	// Dial opens a TCP connection to an address and port from the network
	// namespace of a group.
	Dial(ctx context.Context, group, address string) (net.Conn, error)
	// Stats measures a running container.
	Stats(ctx context.Context, id string) (Stats, error)

	// Tail calls fn with the log records of a container from an offset on, in
	// order, and waits for more. It returns nil when the container has ended and
	// fn has had the last record, else the error of fn or of ctx.
	Tail(ctx context.Context, id string, from Offset, fn func(Record) error) error
	// Consumed remembers durably that the reader of a container's log is done
	// with everything before an offset, which may then be removed.
	Consumed(ctx context.Context, id string, upTo Offset) error

	// Changes returns a channel that delivers the id of a container (and its
	// group) whenever something about it may have changed. It says nothing more:
	// the receiver looks with Get. After an interruption every container is named.
	// The channel is closed when ctx ends.
	Changes(ctx context.Context) <-chan Change

	// Close lets go of everything in this process; what runs runs on.
	Close() error
	// Shutdown stops all containers and the engine. Images and data stay.
	Shutdown(ctx context.Context) error
	// Purge is Shutdown, and removes everything the runtime made on the host.
	Purge(ctx context.Context) error
}

// Group is what containers have in common.
type Group struct {
	ID string
	// Netns is the path of a pinned network namespace; "" gives each container an
	// empty one of its own.
	Netns    string
	Hostname string
	// Hosts are the lines of /etc/hosts after those for localhost.
	Hosts []HostEntry
	// DNS is what /etc/resolv.conf says.
	DNS    DNS
	Limits Limits
	// SharePIDs has all containers see, signal and trace each other's processes,
	// of which none is then the first.
	SharePIDs bool
	// Labels are kept and not understood.
	Labels map[string]string
}

// HostEntry is a line of /etc/hosts.
type HostEntry struct {
	Addr  string
	Names []string
}

// DNS is the content of /etc/resolv.conf.
type DNS struct {
	Servers []string
	Search  []string
	Options []string
}

// Limits of a group or a container; zero values limit nothing.
type Limits struct {
	CPUShares uint64  // relative weight, 1024 for one CPU
	CPUs      float64 // hard: so many CPUs' time
	Memory    int64   // hard, bytes; beyond it a process is killed
	// MemoryReservation is what is left to it when memory gets short, in bytes.
	MemoryReservation int64
	PIDs              int64
}

// Container is what is to run. Exactly one of Image and Root is set.
type Container struct {
	ID    string
	Group string
	// Labels are kept with the container and not understood.
	Labels map[string]string

	// Image is the digest of an image that EnsureUnpacked was called with.
	Image string
	// Root is a root file system made of this machine's own files.
	Root *HostRoot

	// Entrypoint and Command replace the image's where they are not nil. An
	// Entrypoint of one's own drops the image's command too.
	Entrypoint []string
	Command    []string
	Env        []string // added to the image's, NAME=value
	User       string   // name or number, with :group if wanted; "" is the image's
	WorkDir    string   // "" is the image's

	Mounts        []Mount
	ReadOnlyRoot  bool
	Limits        Limits
	Ulimits       []Ulimit
	ShmSize       int64 // bytes, 64 MiB when 0
	AddCaps       []string
	DropCaps      []string // "ALL" drops every one
	NoNewPrivs    bool
	Sysctls       map[string]string
	Init          bool // a small init reaps zombies and forwards signals
	TTY           bool // logs are then what a terminal would have shown
	UserNamespace *IDMap
	ExtraHosts    []HostEntry
	NoLog         bool // output is thrown away
}

// HostRoot is a root file system of read-only parts of this machine's own and
// generated files. What is not named in it is not there.
type HostRoot struct {
	// Paths are directories and files of the host, seen at the same place and
	// read-only; links are made again as links. Only system paths that the
	// implementation allows may be named: /usr and its links, and parts of /etc.
	Paths []string
	// Files are written into the root, with the directories they are in.
	Files map[string]File
	// Dirs are made, empty.
	Dirs []string
}

// File is a generated file.
type File struct {
	Content []byte
	Mode    fs.FileMode
}

// Mount puts a directory or file into a container.
type Mount struct {
	// Source is a path of the host, below a directory that the implementation was
	// given for it; "" makes a tmpfs.
	Source   string
	Target   string
	ReadOnly bool
	// Seed has an empty directory of Source filled with what the image has at
	// Target, with its owners and modes, before anything runs.
	Seed   bool
	Size   int64       // of a tmpfs, 0 for the kernel's default
	Mode   fs.FileMode // of a tmpfs' root, 01777 when 0
	NoExec bool
	// Options are further ones of a tmpfs, as mount(8) names them. They come after
	// nosuid and nodev, and win.
	Options []string
}

// Ulimit is a resource limit of processes: Name as in "nofile".
type Ulimit struct {
	Name       string
	Soft, Hard uint64
}

// IDMap makes the ids 0 to Size-1 of a container the ids from Host on of the
// machine, for a container with a HostRoot.
type IDMap struct {
	Host, Size uint32
}

// Image is an image that is ready to be run.
type Image struct {
	Name       string   // as the archive named it, "" when it did not
	Digest     string   // what it was asked for: an index or a manifest
	Manifest   string   // the digest of this platform's manifest
	Size       int64    // compressed, with config and manifest
	Entrypoint []string // and the following: the image's configuration
	Command    []string
	Env        []string
	User       string
	WorkDir    string
	StopSignal string
	Volumes    []string
}

// State is where a container is in its life.
type State uint8

// The states, in the only order in which they follow one another.
const (
	Created State = iota
	Running
	Ended
)

// String is the state in a word.
func (s State) String() string { return [...]string{"created", "running", "ended"}[s] }

// Status is what a container is doing.
type Status struct {
	ID      string
	Group   string
	Labels  map[string]string
	State   State
	PID     int // of its first process in the host's eyes, while Running
	Created time.Time
	Started time.Time // zero until it was
	Ended   time.Time
	// ExitCode is that of the first process; 128 + the signal when one ended it.
	ExitCode int
	// Restarts is how often it was started again. Started and what follows are
	// those of the last time.
	Restarts int
	// OOMKilled says that the kernel killed a process of it for want of memory.
	OOMKilled bool
	// Reason is why it ended when that was not its own doing; for people.
	Reason string
}

// Process is one more process in a container.
type Process struct {
	Args          []string
	Env           []string // added to the container's
	User          string   // "" is the container's
	WorkDir       string   // "" is the container's
	TTY           bool
	Width, Height uint16 // of the terminal at the start
}

// Stdio is what a process reads and writes; a nil stream is empty or thrown away.
// With a terminal everything comes out of Stdout.
type Stdio struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Execution is a process that Exec started.
type Execution interface {
	// Resize sets the size of its terminal.
	Resize(ctx context.Context, width, height uint16) error
	// Signal sends it a signal.
	Signal(ctx context.Context, sig syscall.Signal) error
	// Wait returns its exit code when it has ended and its output was written.
	// When ctx ends first, the process is killed.
	Wait(ctx context.Context) (int, error)
}

// Stats is what a container uses and has used.
type Stats struct {
	Time time.Time

	CPU        time.Duration // used since it started
	CPUUser    time.Duration // of which outside the kernel
	CPUKernel  time.Duration // and inside
	SystemCPU  time.Duration // of all the machine's processors since it started
	Throttling Throttling

	Memory      int64 // bytes, without the page cache that could be given back
	MemoryUsage int64 // bytes, page cache included
	MemoryMax   int64 // the most there was of it; 0 where the kernel does not say
	MemoryLimit int64 // 0: none
	MemoryFails int64 // how often the limit was met; 0 where the kernel does not say
	// MemoryDetail is the kernel's own account, by its names; they differ between
	// cgroup versions.
	MemoryDetail map[string]uint64

	PIDs      int64
	PIDsLimit int64 // 0: none

	BlockIO []BlockIO
	// Networks are the interfaces of its network namespace, by name, which it may
	// share; without the loopback interface.
	Networks map[string]NetworkStats
}

// Throttling tells how often a CPU limit held a container back.
type Throttling struct {
	Periods, Throttled uint64
	Time               time.Duration
}

// BlockIO is what was read from and written to a block device.
type BlockIO struct {
	Major, Minor          uint64
	ReadBytes, WriteBytes uint64
	Reads, Writes         uint64
}

// NetworkStats are the counters of a network interface.
type NetworkStats struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// Offset is a place in a container's log. Offsets grow; they mean nothing more.
type Offset int64

// Places to begin to read a log from.
const (
	FromStart    Offset = 0  // the oldest record there is
	FromConsumed Offset = -1 // the first record that was not yet Consumed
)

// Stream says where a log line was written to.
type Stream uint8

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// MaxLine is the length at which a log line is cut into several records.
const MaxLine = 256 << 10

// Record is one line of a container's log.
type Record struct {
	Time   time.Time
	Stream Stream
	Line   []byte // without the line's end; valid until fn returns
	// Partial says that the line goes on in the next record of its stream.
	Partial bool
	// Next is the offset of the record that follows.
	Next Offset
}

// Change says that something about a container may have changed.
type Change struct {
	Group     string
	Container string
}
