package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"minato/dataplane/host"
)

// TestEither: one port answers TLS and plain HTTP, and connections that say
// nothing are closed.
func TestEither(t *testing.T) {
	ca, err := host.OpenCA(t.TempDir(), "aaaaaa", "amazonaws.com", netip.MustParsePrefix("198.18.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // of a client that is gone, nothing
		w.Write(body)
	})}
	go srv.Serve(eitherListener{l, ca.TLSConfig()})
	t.Cleanup(func() { srv.Close() })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "logs.us-east-1.amazonaws.com"}}}
	defer client.CloseIdleConnections()
	body := strings.Repeat("a", 1<<18)
	for _, scheme := range []string{"http", "https"} {
		for range 2 { // the second time by the same connection
			r, err := client.Post(fmt.Sprintf("%s://%s/", scheme, l.Addr()), "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatalf("%s: %v", scheme, err)
			}
			got, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || string(got) != body {
				t.Errorf("%s: %d bytes, %v", scheme, len(got), err)
			}
		}
	}
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	srv.Close()
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that said nothing is still open")
	}
}
