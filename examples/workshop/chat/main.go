// Command chat is the sample application of the workshop: a page on which
// people who signed in write comments, and everybody sees them at once.
//
// It is made to run as several tasks behind a load balancer: sessions and
// comments are in the database, nothing is in memory that another task would
// need, new comments reach open pages of every task, and SIGTERM ends it
// without cutting a request. GET / needs the database, so that a load
// balancer's health check finds a wrong one.
//
// It is configured by the environment: PORT (4567), DB_HOST (with an optional
// :port), DB_USER, DB_PASS. It makes its database, "chat", and its tables.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	connectFor  = 60 * time.Second // how long a start waits for the database
	shutdownFor = 25 * time.Second // ECS sends SIGKILL 30 s after SIGTERM
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	if err := run(log); err != nil {
		log.Error("chat ends", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	views, err := viewsDir()
	if err != nil {
		return err
	}
	address := DatabaseAddress{Host: os.Getenv("DB_HOST"), User: os.Getenv("DB_USER"), Password: os.Getenv("DB_PASS")}
	store, err := OpenStore(ctx, log, address, connectFor)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while it waited
		}
		return err
	}
	defer store.Close()

	hub := NewHub(log, store, time.Second)
	site, err := NewSite(log, store, hub, views)
	if err != nil {
		return err
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "4567"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return fmt.Errorf("PORT %s: %w", port, err)
	}
	log.Info("chat listens", "address", listener.Addr().String(), "database", address.Host)
	return serve(ctx, log, listener, site.Handler(), hub)
}

// serve answers requests until ctx is done, then lets those in flight finish.
func serve(ctx context.Context, log *slog.Logger, listener net.Listener, handler http.Handler, hub *Hub) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		// Longer than the load balancer's 60 s: it must be the side that closes an
		// idle connection, or a request can meet our closing one.
		IdleTimeout: 75 * time.Second,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	hubDone := make(chan struct{})
	hubCtx, stopHub := context.WithCancel(context.Background())
	go func() { defer close(hubDone); hub.Run(hubCtx) }()
	defer func() { stopHub(); <-hubDone }()

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("chat stops: requests in flight are finished, streams closed")
	stopHub() // ends every stream, which Shutdown would wait for
	limit, cancel := context.WithTimeout(context.Background(), shutdownFor)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return fmt.Errorf("some requests did not end within %s: %w", shutdownFor, err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	log.Info("chat has stopped")
	return nil
}

// viewsDir finds the page's files: next to the binary in an image, one folder
// up when it runs from bin/, or in the working directory under `go run`.
func viewsDir() (string, error) {
	var places []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		places = append(places, filepath.Join(dir, "views"), filepath.Join(dir, "..", "views"))
	}
	places = append(places, "views")
	for _, dir := range places {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no views directory: looked for %v", places)
}
