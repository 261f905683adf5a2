package engine

import (
	"io"
	"log/slog"
	"testing"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
)

// TestContract runs the suite with each way of serving connections.
func TestContract(t *testing.T) {
	for name, options := range map[string][]Option{"loops": nil, "epoll": {Epoll}, "goroutines": {Goroutines}} {
		t.Run(name, func(t *testing.T) {
			proxytest.Run(t, func(s proxy.Sockets, c clock.Clock) proxy.Proxy {
				return New(s, c, slog.New(slog.NewTextHandler(io.Discard, nil)), options...)
			})
		})
	}
}
