package host

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func openCA(t *testing.T, dir string) *CA {
	t.Helper()
	ca, err := OpenCA(dir, "aaaaaa", "amazonaws.com", netip.MustParsePrefix("198.18.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// handshake connects to a server with the CA's certificates as a client that
// trusts the CA and asks for a name.
func handshake(t *testing.T, ca *CA, name string) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", ca.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return tls.Client(c, &tls.Config{RootCAs: pool, ServerName: name}).Handshake()
}

func TestCA(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	for _, name := range []string{"000000000000.dkr.ecr.us-east-1.amazonaws.com", "127.0.0.1"} {
		if err := handshake(t, ca, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"example.org", "notamazonaws.com"} {
		if err := handshake(t, ca, name); err == nil {
			t.Errorf("a certificate for %s", name)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info, err)
	}
	if again := openCA(t, dir); string(again.PEM()) != string(ca.PEM()) {
		t.Error("a second CA was made")
	}
}

// TestConstraints: what the CA would sign for another site is not believed.
func TestConstraints(t *testing.T) {
	ca := openCA(t, t.TempDir())
	ca.cert.PermittedDNSDomains = []string{"example.org"} // a thief of the key does not mind
	leaf, err := ca.certificate("www.example.org")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "www.example.org"}); err == nil {
		t.Error("a certificate for www.example.org is believed")
	}
}

func TestTrust(t *testing.T) {
	ca := openCA(t, t.TempDir())
	root := t.TempDir()
	certs := filepath.Join(root, "docker", "certs.d")
	if err := ca.Trust(certs, "aaaaaa", "a.amazonaws.com"); err != nil {
		t.Fatal(err)
	}
	if err := ca.Trust(certs, "bbbbbb", "a.amazonaws.com"); err != nil {
		t.Fatal(err)
	}
	if err := Untrust(certs, "aaaaaa"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(certs, "a.amazonaws.com", "minato-bbbbbb.crt")); err != nil {
		t.Errorf("the other instance's: %v", err)
	}
	if err := Untrust(certs, "bbbbbb"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
