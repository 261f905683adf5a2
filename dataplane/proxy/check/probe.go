package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
)

// UserAgent is what checks call themselves.
const UserAgent = "ELB-HealthChecker/2.0"

// drainFor is how long a check reads on after the head, so that the target can
// finish its answer without seeing a reset.
var drainFor = time.Second

// Probe asks target once, from node. The error is proxy.ErrNotReady (wrapped)
// when the node could not ask; nothing is known of the target then.
func Probe(ctx context.Context, s proxy.Sockets, network string, node netip.Addr, target netip.AddrPort, c proxy.Check) (proxy.CheckResult, error) {
	if c.Port != 0 {
		target = netip.AddrPortFrom(target.Addr(), c.Port)
	}
	start := time.Now()
	r := proxy.CheckResult{At: start, From: node, Port: target.Port()}
	deadline := start.Add(c.Timeout)
	dialCtx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := s.Dial(dialCtx, network, node, target)
	if err == nil {
		defer conn.Close()
		stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
		defer stop()
		r.Status, err = speak(dialCtx, conn, target, c, deadline)
	}
	r.Latency = time.Since(start)
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case notReady(err):
		return r, fmt.Errorf("%w: %w", proxy.ErrNotReady, err)
	case isTimeout(err):
		r.Reason, r.Err = proxy.Timeout, err.Error()
	case err != nil:
		r.Reason, r.Err = proxy.Failed, err.Error()
	case c.Kind != proxy.CheckTCP && !matches(c.Codes, r.Status):
		r.Reason = proxy.Mismatch
	default:
		r.Passed = true
	}
	return r, nil
}

// speak asks what the check is for over the connection.
func speak(ctx context.Context, conn net.Conn, target netip.AddrPort, c proxy.Check, deadline time.Time) (int, error) {
	if c.TLS {
		var alpn []string
		if c.Kind == proxy.CheckHTTP2 || c.Kind == proxy.CheckGRPC {
			alpn = []string{"h2"}
		}
		t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, NextProtos: alpn}) // the network says who it is
		if err := t.HandshakeContext(ctx); err != nil {
			return 0, err
		}
		conn = t
	}
	switch c.Kind {
	case proxy.CheckTCP:
		return 0, nil
	case proxy.CheckHTTP2, proxy.CheckGRPC:
		return ask2(ctx, conn, target, c)
	}
	return ask(conn, target, c.Path, deadline)
}

// notReady tells whether it is our side that is missing: the address to ask
// from, or the network (whose namespace is a file).
func notReady(err error) bool {
	return errors.Is(err, proxy.ErrNotReady) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, fs.ErrNotExist)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

func matches(codes []proxy.CodeRange, status int) bool {
	for _, c := range codes {
		if status >= c.From && status <= c.To {
			return true
		}
	}
	return false
}

// ask sends the check and reads the head of the answer.
func ask(conn net.Conn, target netip.AddrPort, path string, deadline time.Time) (int, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	req := "GET " + path + " HTTP/1.1\r\nHost: " + net.JoinHostPort(target.Addr().String(), strconv.Itoa(int(target.Port()))) +
		"\r\nConnection: close\r\nUser-Agent: " + UserAgent + "\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
	if _, err := io.WriteString(conn, req); err != nil {
		return 0, err
	}
	buf := make([]byte, 0, 4096)
	for {
		n := http1.HeadEnd(buf, 0)
		for n == 0 {
			if len(buf) >= http1.MaxHead {
				return 0, errors.New("the head of the answer is too long")
			}
			if len(buf) == cap(buf) {
				buf = append(buf, 0)[:len(buf)]
			}
			k, err := conn.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+k]
			if n = http1.HeadEnd(buf, len(buf)-k); n == 0 && err != nil {
				if err == io.EOF {
					err = errors.New("the target closed the connection without an answer")
				}
				return 0, err
			}
		}
		var resp http1.Response
		if err := resp.Parse(buf[:n], false); err != nil {
			return 0, err
		}
		if resp.Status < 200 && resp.Status != 101 {
			buf = buf[n:]
			continue
		}
		if d := time.Now().Add(drainFor); d.Before(deadline) {
			deadline = d
		}
		conn.SetDeadline(deadline)
		io.CopyN(io.Discard, conn, remaining(&resp, len(buf)-n))
		return resp.Status, nil
	}
}

// remaining is how much of a body is worth reading after have bytes of it: as
// far as its stated end, because a target that keeps the connection although it
// was asked to close it would otherwise cost the whole of drainFor.
func remaining(r *http1.Response, have int) int64 {
	const most = 256 << 10
	switch r.Framing {
	case http1.NoBody:
		return 0
	case http1.Length:
		return min(max(r.Length-int64(have), 0), most)
	}
	return most
}
