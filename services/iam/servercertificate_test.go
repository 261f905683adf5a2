package iam

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"minato/aws"
	iamapi "minato/aws/api/iam"
)

// TestServerCertificateKey holds that the private key is of use after a change of
// name and a restart, and lies in the open nowhere.
func TestServerCertificateKey(t *testing.T) {
	h := newHouse(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) *string {
		return aws.Ptr(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})))
	}
	if _, err := h.api.UploadServerCertificate(h.admin, &iamapi.UploadServerCertificateInput{
		ServerCertificateName: aws.Ptr("a"), CertificateBody: text("CERTIFICATE", der), PrivateKey: text("PRIVATE KEY", private),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.api.UpdateServerCertificate(h.admin, &iamapi.UpdateServerCertificateInput{ServerCertificateName: aws.Ptr("a"), NewServerCertificateName: aws.Ptr("b")}); err != nil {
		t.Fatal(err)
	}
	h.start()
	got, err := h.api.GetServerCertificate(h.admin, &iamapi.GetServerCertificateInput{ServerCertificateName: aws.Ptr("b")})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := h.iam.KeyPair(h.admin, *got.ServerCertificate.ServerCertificateMetadata.Arn)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok || !k.Equal(key) {
		t.Error("the key is another one")
	}
	kept, err := h.iam.certificate(h.admin, "b")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(kept); err != nil || bytes.Contains(b, []byte("PRIVATE KEY")) {
		t.Errorf("the private key lies in the open in the store: %v", err)
	}
}
