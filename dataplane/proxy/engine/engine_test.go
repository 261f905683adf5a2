package engine

import (
	"io"
	"log/slog"
	"testing"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
)

func TestContract(t *testing.T) {
	proxytest.Run(t, func(s proxy.Sockets, c clock.Clock) proxy.Proxy {
		return New(s, c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	})
}
