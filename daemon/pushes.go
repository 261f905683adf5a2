package daemon

import (
	"net"
	"net/http"
	"strings"

	"minato/dataplane/registry"
	"minato/gateway"
)

// loginAction stands for a login at the registry, which is no operation of AWS.
const loginAction = "registry:Login"

// pushes remembers what the registry refused docker and other clients, who often
// show less than half of it.
type pushes struct{ refused *gateway.Refusals }

func (p *pushes) observe(req *http.Request, repo registry.Repository, e *registry.Error) {
	who, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		who = req.RemoteAddr
	}
	if agent, _, _ := strings.Cut(req.UserAgent(), " "); agent != "" {
		who += " (" + agent + ")"
	}
	x := gateway.Refusal{Action: "registry:" + req.Method, Caller: who, Names: []string{repo.Name, repo.Host}}
	switch {
	case e == nil:
		if req.Header.Get("Authorization") != "" {
			p.refused.Forget(func(r gateway.Refusal) bool { return r.Action == loginAction && r.Caller == who })
		}
		return
	case e.Code == "UNAUTHORIZED":
		// Every client asks once without a login, to learn how: that counts until
		// it comes back with one.
		x.Action, x.Names = loginAction, []string{repo.Host}
	case e.Status >= 500, e.Code == "BLOB_UNKNOWN", e.Code == "MANIFEST_UNKNOWN" && req.Method == http.MethodHead:
		return // asked for to see whether it has to be pushed
	}
	x.Code, x.Message = e.Code, e.Message
	p.refused.Add(x)
}
