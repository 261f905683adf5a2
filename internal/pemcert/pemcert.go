// Package pemcert reads a certificate with its key and chain, as people paste
// them into an API, and says which of the three is wrong.
package pemcert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// What can be wrong.
var (
	ErrCertificate = errors.New("the certificate is not a valid PEM-encoded certificate")
	ErrSeveral     = errors.New("the certificate holds more than one certificate")
	ErrKey         = errors.New("the private key is not a valid unencrypted PEM-encoded key")
	ErrMismatch    = errors.New("the private key does not belong to the certificate")
	ErrChain       = errors.New("the chain does not lead from the certificate to its issuers")
)

// Parse reads a certificate, its chain (which may be empty) and its key.
func Parse(certificate, chain, key []byte) (*tls.Certificate, error) {
	certs, err := certificates(certificate)
	switch {
	case err != nil || len(certs) == 0:
		return nil, ErrCertificate
	case len(certs) > 1:
		return nil, ErrSeveral
	}
	private, err := privateKey(key)
	if err != nil {
		return nil, ErrKey
	}
	public, ok := private.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(certs[0].PublicKey) {
		return nil, ErrMismatch
	}
	issuers, err := certificates(chain)
	if err != nil {
		return nil, ErrChain
	}
	out := &tls.Certificate{Certificate: [][]byte{certs[0].Raw}, PrivateKey: private, Leaf: certs[0]}
	child := certs[0]
	for _, issuer := range issuers {
		if child.CheckSignatureFrom(issuer) != nil {
			return nil, ErrChain
		}
		out.Certificate = append(out.Certificate, issuer.Raw)
		child = issuer
	}
	return out, nil
}

// certificates reads blocks of certificates with nothing but space between them.
func certificates(text []byte) (all []*x509.Certificate, err error) {
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil || b.Type != "CERTIFICATE" {
			return nil, ErrCertificate
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func privateKey(text []byte) (crypto.Signer, error) {
	b, _ := pem.Decode(text)
	if b == nil {
		return nil, ErrKey
	}
	if k, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		return k, nil
	}
	// An EC key's file may begin with its parameters.
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		if _, rest := pem.Decode(text); b.Type == "EC PARAMETERS" && len(rest) > 0 {
			return privateKey(rest)
		}
		return nil, err
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, ErrKey
	}
	return signer, nil
}

// Algorithm names a public key as AWS does: RSA_2048, EC_prime256v1; "" for one
// that AWS does not take.
func Algorithm(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		switch n := k.N.BitLen(); n {
		case 1024, 2048, 3072, 4096:
			return fmt.Sprintf("RSA_%d", n)
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return "EC_prime256v1"
		case 384:
			return "EC_secp384r1"
		case 521:
			return "EC_secp521r1"
		}
	}
	return ""
}
