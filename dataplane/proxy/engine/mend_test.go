package engine

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// rings are the descriptors of this process's io_uring instances.
func rings(t *testing.T) (all []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, _ := os.Readlink(link); to == "anon_inode:[io_uring]" {
			fd, _ := strconv.Atoi(filepath.Base(link))
			all = append(all, fd)
		}
	}
	return all
}

// TestRingsFail takes the kernel's interface away from all event loops while they
// serve: their connections end, nothing else does, and new ones are served.
func TestRingsFail(t *testing.T) {
	before := map[int]bool{}
	for _, fd := range rings(t) {
		before[fd] = true
	}
	hold, held := make(chan struct{}), atomic.Int32{}
	defer close(hold)
	v := newLaneEnv(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			held.Add(1)
			<-hold
		}
		echoPath(w, r)
	})
	var own []int
	for _, fd := range rings(t) {
		if !before[fd] {
			own = append(own, fd)
		}
	}
	if len(own) == 0 {
		t.Skip("this kernel has no io_uring")
	}
	rest, r := v.dial(t, false)
	fmt.Fprintf(rest, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := answerOf(t, r); got != "/a " {
		t.Fatalf("%q", got)
	}
	waits, _ := v.dial(t, true)
	fmt.Fprintf(waits, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	until(t, "the target to be asked", func() bool { return held.Load() == 1 })

	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	for _, fd := range own {
		if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range v.e.lanes { // each wakes up, and notices
		l.loop.Do(func() {})
	}
	until(t, "the lanes to go on", func() bool {
		n := 0
		for _, l := range v.e.lanes {
			uring := make(chan bool, 1)
			l.loop.Do(func() { uring <- l.loop.URing() })
			if !<-uring {
				n++
			}
		}
		return n == len(v.e.lanes)
	})
	until(t, "the clients to be forgotten", func() bool { return v.inLanes() == 0 })
	for i := range 20 {
		c, r := v.dial(t, i%2 == 1)
		for range 3 {
			fmt.Fprintf(c, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
			if got := answerOf(t, r); got != "/b " {
				t.Fatalf("%q", got)
			}
		}
		c.Close()
	}
	until(t, "all connections to be over", func() bool {
		return v.e.Counters("lb").ActiveConnections == 0
	})
}
