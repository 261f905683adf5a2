package daemon

import (
	"context"
	"net/http"

	"minato/daemon/shell"
	"minato/services/cloud9"
)

// shellHandler serves terminals in workspaces.
func (d *daemon) shellHandler(mux *http.ServeMux) {
	mux.Handle("POST "+shell.Path, &shell.Server{Base: d.ctx, Find: d.enter, Runtime: d.runtime, Log: d.log})
}

// enter starts a workspace if need be and says where its terminal begins.
func (d *daemon) enter(ctx context.Context, name string) (shell.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, cloud9.EnterTimeout)
	defer cancel()
	instance, leave, err := d.cloud9.Enter(ctx, name)
	if err != nil {
		return shell.Target{}, err
	}
	at, err := d.instances.Shell(ctx, instance)
	if err != nil {
		leave()
		return shell.Target{}, err
	}
	return shell.Target{Container: at.Container, Env: at.Env, Dir: at.Home, Shell: at.Command, Leave: leave}, nil
}
