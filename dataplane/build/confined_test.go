package build

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// TestConfined tries, as a workspace's Dockerfile could, to read what this
// machine serves to itself; and builds what needs only our own registry.
func TestConfined(t *testing.T) {
	c := builder(t)
	c.Confined = true
	var seen atomic.Int64
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { seen.Add(1) }))
	defer host.Close()
	address := strings.TrimPrefix(host.URL, "http://")
	own := httptest.NewServer(ggcr.New())
	defer own.Close()
	c.Registries = []Registry{{Suffix: ".registry.invalid", Address: own.Listener.Addr().String()}}
	dir := write(t, t.TempDir(), map[string]string{"a": "a"})
	const refused = "a build in a workspace reaches public addresses only, not 127.0.0.1"
	for _, try := range []struct{ dockerfile, want string }{
		{"FROM " + address + "/x:1\n", refused},
		{"FROM scratch\nADD " + host.URL + "/secret /x\n", refused},
		{"# syntax=" + address + "/frontend:1\nFROM scratch\nCOPY a /\n", refused},
		{"FROM scratch\nADD " + host.URL + "/x.git /x\n", "denied by policy"},
		{"FROM scratch\nADD git@127.0.0.1:x/y.git /x\n", "denied by policy"},
	} {
		write(t, dir, map[string]string{"Dockerfile": try.dockerfile})
		if _, err := Run(t.Context(), c, Request{Context: dir}); err == nil || !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s: %v, want %s", try.dockerfile, err, try.want)
		}
	}
	write(t, dir, map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\n"})
	if _, err := Run(t.Context(), c, Request{Context: dir, Tag: address + "/x:1", Push: true}); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("pushed to this machine: %v", err)
	}
	if n := seen.Load(); n > 0 {
		t.Errorf("%d requests came through", n)
	}
	if _, err := Run(t.Context(), c, Request{Context: dir, Tag: "one.registry.invalid/x:1", Push: true}); err != nil {
		t.Error(err)
	}
}
