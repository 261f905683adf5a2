package containerd

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"minato/dataplane/container"
)

// rlimits are the kernel's numbers of resource limits by the names of ulimits.
var rlimits = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE,
	"locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE,
	"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// capSysResource lets a process raise its hard limits.
const capSysResource = 24

// mayRaise tells whether limits above our own can be given: not in a container
// without CAP_SYS_RESOURCE, where asking for one would fail every start.
var mayRaise = sync.OnceValue(func() bool {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return true
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if hex, ok := strings.CutPrefix(sc.Text(), "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err != nil || caps&(1<<capSysResource) != 0
		}
	}
	return true
})

// rlimit translates a ulimit, no higher than this machine lets us go.
func rlimit(u container.Ulimit) specs.POSIXRlimit {
	out := specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(u.Name), Soft: u.Soft, Hard: u.Hard}
	number, known := rlimits[u.Name]
	if !known || mayRaise() {
		return out
	}
	var own unix.Rlimit
	if unix.Getrlimit(number, &own) == nil {
		out.Hard = min(out.Hard, own.Max)
		out.Soft = min(out.Soft, out.Hard)
	}
	return out
}
