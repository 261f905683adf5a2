package build

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "10.1.2.3": false, "172.20.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "169.254.170.2": false, "100.64.0.1": false, "198.18.0.1": false, "198.19.255.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "fe80::1": false, "fd00::1": false,
		"::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %v", text, got)
		}
	}
}

// TestProxy goes through the proxy as a RUN step's programs do, plainly and by
// tunnel.
func TestProxy(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "plain ", r.Host) }))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secure") }))
	defer secure.Close()
	for name, c := range map[string]struct {
		dial dialFunc
		want map[string]string
	}{
		"open":   {(&net.Dialer{}).DialContext, map[string]string{plain.URL: "plain " + plain.Listener.Addr().String(), secure.URL: "secure"}},
		"public": {publicDialer("a RUN step"), map[string]string{plain.URL: "a RUN step reaches public addresses only, not 127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := httptest.NewServer(newProxy(c.dial))
			defer proxy.Close()
			at, err := url.Parse(proxy.URL)
			if err != nil {
				t.Fatal(err)
			}
			transport := secure.Client().Transport.(*http.Transport).Clone()
			transport.Proxy = http.ProxyURL(at)
			for target, want := range c.want {
				resp, err := (&http.Client{Transport: transport}).Get(target)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if got := string(body); err != nil || got != want && !(name == "public" && resp.StatusCode == 403 && len(got) > len(want)) {
					t.Errorf("%s: %d %q, %v; want %q", target, resp.StatusCode, got, err, want)
				}
			}
		})
	}
	resp, err := http.Get(httptestProxy(t).URL + "/not/a/proxied/request")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a request to the proxy itself: %d", resp.StatusCode)
	}
}

func httptestProxy(t *testing.T) *httptest.Server {
	s := httptest.NewServer(newProxy(func(context.Context, string, string) (net.Conn, error) { return nil, errNotPublic }))
	t.Cleanup(s.Close)
	return s
}

func TestSavedLogin(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"auth.json":           `{"auths":{"example.com":{"auth":"bWU6c2VjcmV0"}}}`,
		".docker/config.json": `{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnB3"},"example.com":{"auth":"eDp5"}}}`,
	})
	env := map[string]string{"HOME": dir, "REGISTRY_AUTH_FILE": filepath.Join(dir, "auth.json")}
	files := loginFiles(func(name string) string { return env[name] })
	for host, want := range map[string]string{"example.com": "me:secret", "registry-1.docker.io": "hub:pw", "elsewhere.org": ":"} {
		user, password, err := savedLogin(files, host)
		if got := user + ":" + password; err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", host, got, err, want)
		}
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := savedLogin(files, "example.com"); err == nil {
		t.Error("a broken file was passed over")
	}
}
