package build

import (
	"net/http"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/moby/buildkit/client"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	"github.com/moby/buildkit/util/resolver"
)

// Confined is the configuration of an instance's second builder, for those who
// are not this machine's root: what it does for them (FROM, ADD, RUN) reaches
// public addresses and our own registry only, and its cache is not that of root,
// so that nothing they leave there gets into root's images.
func Confined(dataDir, runDir string) Config {
	return Config{Root: filepath.Join(dataDir, "builder-confined"), RunDir: runDir, Confined: true}
}

const confinedName = "a build in a workspace"

// confine makes the builder, a process of its own, use only such connections
// where BuildKit takes the process's defaults: for ADD of a URL. No proxy of the
// environment is used: it could lead elsewhere.
func confine() {
	own := http.DefaultTransport.(*http.Transport) // the standard library's
	own.DialContext, own.Proxy = publicDialer(confinedName), nil
}

// confinedHosts are the ways to somebody else's registry from a builder that is
// confined.
func confinedHosts(host string) ([]docker.RegistryHost, error) {
	hosts, err := resolver.NewRegistryConfig(nil)(host)
	for i := range hosts {
		hosts[i].Client = &http.Client{Transport: http.DefaultTransport}
	}
	return hosts, err
}

// confineSources refuses what is fetched by other programs than the builder:
// git connects where it likes.
func confineSources(opt *client.SolveOpt) {
	opt.SourcePolicy = &spb.Policy{Version: 1, Rules: []*spb.Rule{
		{Action: spb.PolicyAction_DENY, Selector: &spb.Selector{Identifier: "git://*", MatchType: spb.MatchType_WILDCARD}},
	}}
}
