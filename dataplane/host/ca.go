package host

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"minato/internal/durable"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	renewal  = 24 * time.Hour // a certificate with less to live is made anew
)

// CA signs certificates for AWS's names and for nothing else: it carries name
// constraints, so that trusting it gives nobody the power over other sites.
type CA struct {
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// OpenCA reads the CA of a folder, or makes one there; its key is readable by
// root only. domain and pool are what it may sign for.
func OpenCA(dir, id, domain string, pool netip.Prefix) (*CA, error) {
	return readOrMakeCA(dir, &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "minato " + id},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{domain},
		PermittedIPRanges: []*net.IPNet{
			{IP: pool.Masked().Addr().AsSlice(), Mask: net.CIDRMask(pool.Bits(), 32)},
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		},
	})
}

// OpenIssuer reads, or makes, the CA for names of the user's own choice. It has
// no constraints, so nothing on the host is told to trust it: who wants to, does
// it for one client at a time.
func OpenIssuer(dir, id string) (*CA, error) {
	return readOrMakeCA(dir, &x509.Certificate{Subject: pkix.Name{CommonName: "minato certificates " + id, Organization: []string{"minato"}}})
}

func readOrMakeCA(dir string, template *x509.Certificate) (*CA, error) {
	certFile, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	ca, err := readCA(certFile, keyFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return ca, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = serialNumber(); err != nil {
		return nil, err
	}
	now := time.Now()
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(caLife)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	// The certificate is written last: while it is missing, both are made anew.
	if err := durable.Write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, err
	}
	if err := durable.Write(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return readCA(certFile, keyFile)
}

func readCA(certFile, keyFile string) (*CA, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("the CA's certificate is there, but not its key: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no ECDSA key", keyFile)
	}
	return &CA{pem: certPEM, cert: pair.Leaf, key: key, leaves: map[string]*tls.Certificate{}}, nil
}

// PEM is the CA's certificate, for whoever is to trust it.
func (ca *CA) PEM() []byte { return ca.pem }

// Issue signs a certificate for a public key and returns it in DER.
func (ca *CA) Issue(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	t := *template
	t.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, &t, ca.cert, public, ca.key)
}

// TLSConfig serves certificates for the name a client asks for, made when first
// asked for; without a name, for the address it connected to.
func (ca *CA) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name := strings.ToLower(hello.ServerName)
		if name == "" {
			host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
			if err != nil {
				return nil, err
			}
			name = host
		}
		return ca.certificate(name)
	}}
}

// maxLeaves bounds the certificates kept, since a client chooses the names.
const maxLeaves = 256

func (ca *CA) certificate(name string) (*tls.Certificate, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if c := ca.leaves[name]; c != nil && time.Until(c.Leaf.NotAfter) > renewal {
		return c, nil
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if within(name, ca.cert.PermittedDNSDomains) {
		template.DNSNames = []string{name}
	} else {
		return nil, fmt.Errorf("no certificate for %q: it is none of AWS's names", name)
	}
	var err error
	if template.SerialNumber, err = serialNumber(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}
	if len(ca.leaves) >= maxLeaves {
		clear(ca.leaves)
	}
	ca.leaves[name] = c
	return c, nil
}

func within(name string, domains []string) bool {
	for _, d := range domains {
		if name == d || strings.HasSuffix(name, "."+d) {
			return true
		}
	}
	return false
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
}

// Trust puts the CA where docker, skopeo, buildah and podman look for the CAs
// of a registry, in a file of the instance's own.
func (ca *CA) Trust(certsDir, id string, hosts ...string) error {
	for _, h := range hosts {
		dir := filepath.Join(certsDir, h)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := durable.Write(filepath.Join(dir, trustFile(id)), ca.pem, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// CertsDir is where docker and its kin look for registries' CAs.
const CertsDir = "/etc/docker/certs.d"

func trustFile(id string) string { return "minato-" + id + ".crt" }

// Untrust removes the instance's files below certsDir, and the folders that are
// empty then: ours, and those that had to be made for them.
func Untrust(certsDir, id string) error {
	files, err := filepath.Glob(filepath.Join(certsDir, "*", trustFile(id)))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		os.Remove(filepath.Dir(f)) // not empty: somebody else's is in it
	}
	if len(files) > 0 {
		os.Remove(certsDir)
		os.Remove(filepath.Dir(certsDir))
	}
	return nil
}
