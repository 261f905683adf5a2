package pemcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"
)

type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// issue makes a certificate, signed by parent or by itself.
func issue(t *testing.T, name string, key crypto.Signer, parent *issued) *issued {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	by, signer := template, key
	if parent != nil {
		by, signer = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func ec(t *testing.T) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func encode(kind string, der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParse(t *testing.T) {
	root := issue(t, "root", ec(t), nil)
	leafKey := ec(t)
	leaf := issue(t, "leaf", leafKey, root)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	own := issue(t, "own", rsaKey, nil)
	sec1, err := x509.MarshalECPrivateKey(leafKey)
	key := encode("EC PRIVATE KEY", sec1, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(leafKey)
	for name, c := range map[string]struct {
		cert, chain, key []byte
		err              error
		length           int
	}{
		"with its chain":  {leaf.pem, root.pem, key, nil, 2},
		"without a chain": {leaf.pem, nil, key, nil, 1},
		"PKCS 8":          {leaf.pem, []byte(" \n"), encode("PRIVATE KEY", pkcs8, err), nil, 1},
		"PKCS 1":          {own.pem, nil, encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), nil, 1},
		"with parameters": {leaf.pem, nil, append(encode("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}, nil), key...), nil, 1},
		"two":             {append(leaf.pem, root.pem...), nil, key, ErrSeveral, 0},
		"nonsense":        {[]byte("x"), nil, key, ErrCertificate, 0},
		"nothing":         {nil, nil, key, ErrCertificate, 0},
		"a key for it":    {key, nil, key, ErrCertificate, 0},
		"no key":          {leaf.pem, nil, []byte("x"), ErrKey, 0},
		"another's key":   {root.pem, nil, key, ErrMismatch, 0},
		"another's chain": {leaf.pem, own.pem, key, ErrChain, 0},
		"no chain at all": {leaf.pem, []byte("x"), key, ErrChain, 0},
	} {
		got, err := Parse(c.cert, c.chain, c.key)
		if !errors.Is(err, c.err) || err == nil && (len(got.Certificate) != c.length || got.Leaf == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := Algorithm(leaf.cert.PublicKey); a != "EC_prime256v1" {
		t.Error(a)
	}
	if a := Algorithm(own.cert.PublicKey); a != "RSA_2048" {
		t.Error(a)
	}
}

// FuzzParse: any text is a certificate with its key or one of the errors, and
// what is taken can be served.
func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"), []byte(""), []byte("-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\n"), []byte("\n"), []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMA==\n-----END RSA PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, certificate, chain, key []byte) {
		c, err := Parse(certificate, chain, key)
		if err != nil {
			for _, known := range []error{ErrCertificate, ErrSeveral, ErrKey, ErrMismatch, ErrChain} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error of its own: %v", err)
		}
		if c.Leaf == nil || c.PrivateKey == nil || len(c.Certificate) == 0 {
			t.Fatalf("%+v", c)
		}
	})
}
