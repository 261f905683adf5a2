package main

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// server work MILLISECONDS answers on port 80, and each answer but that to a health
// check costs so much of a processor, however busy the machine is.
func init() {
	broken["work"] = func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		return http.ListenAndServe(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" {
				return
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for end := used() + time.Duration(n)*time.Millisecond; used() < end; {
			}
			io.WriteString(w, "done")
		}))
	}
}

// used is the processor time of this thread.
func used() time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		panic(err)
	}
	return time.Duration(at.Nano())
}

// server http 'METHOD URL [BODY]' makes a request and writes the status and the
// answer.
func init() {
	broken["http"] = func(text string) error {
		method, rest, _ := strings.Cut(text, " ")
		url, body, _ := strings.Cut(rest, " ")
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		fmt.Printf("status %d\n%s\n", resp.StatusCode, answer)
		return err
	}
}
