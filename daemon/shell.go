package daemon

import "net/http"

// shellHandler serves terminals in workspaces.
func (d *daemon) shellHandler(mux *http.ServeMux) {}
