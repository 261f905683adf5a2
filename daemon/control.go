package daemon

import (
	"context"
	"net/http"
	"net/http/pprof"
	"time"

	"minato/daemon/control"
	"minato/daemon/instance"
	"minato/gateway"
)

// Alive tells whether a daemon answers for the instance.
func Alive(ctx context.Context, in instance.Instance) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := control.NewClient(in).Status(ctx)
	return err == nil
}

// controlHandler serves the commands of this machine's root.
func (d *daemon) controlHandler(stop func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		s, err := d.status(d.asRoot(r.Context()))
		control.Reply(w, s, err)
	})
	mux.HandleFunc("GET /why", func(w http.ResponseWriter, r *http.Request) {
		found, err := d.explainer().Why(d.asRoot(r.Context()), r.URL.Query().Get("name"))
		control.Reply(w, found, err)
	})
	mux.HandleFunc("GET /logs", d.tailLogs)
	mux.HandleFunc("GET /balancer", func(w http.ResponseWriter, r *http.Request) {
		b, err := d.balancer(d.asRoot(r.Context()), r.URL.Query().Get("name"))
		control.Reply(w, b, err)
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		control.Reply(w, struct{}{}, nil)
		if err := http.NewResponseController(w).Flush(); err != nil {
			d.log.Debug("the answer to stop", "error", err)
		}
		stop()
	})
	// Where the time and the memory of a running daemon go:
	// curl --unix-socket /run/minato/<id>/control http://minato/debug/pprof/profile?seconds=10
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	d.shellHandler(mux)
	return mux
}

func (d *daemon) asRoot(ctx context.Context) context.Context {
	return gateway.AsRoot(ctx, d.cfg.Account, d.cfg.Region)
}
