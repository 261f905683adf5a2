package acm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	acmapi "minato/aws/api/acm"
	"minato/aws/identity"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/store/memstore"
)

// authority is an issuer of the tests' own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(10000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) Issue(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	c := *template
	c.SerialNumber = big.NewInt(258)
	return x509.CreateCertificate(rand.Reader, &c, a.cert, public, a.key)
}

func (a *authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

type world struct {
	s     *Service
	ctx   context.Context
	clock *clock.Fake
	users []string
}

func newWorld(t *testing.T) *world {
	w := &world{clock: clock.NewFake(time.Now())}
	w.s = New(Deps{Store: memstore.New(), Clock: w.clock, Issuer: newAuthority(t), Seal: must(seal.New(make([]byte, 32))), Users: func(context.Context, string) ([]string, error) { return w.users, nil }})
	w.ctx = identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1"})
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRequested(t *testing.T) {
	w := newWorld(t)
	in := &acmapi.RequestCertificateInput{
		DomainName: aws.Ptr("*.Example.com"), SubjectAlternativeNames: []string{"example.com", "*.example.com"}, ValidationMethod: aws.Ptr("DNS"), IdempotencyToken: aws.Ptr("one"),
		Tags: []acmapi.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("v")}},
	}
	arn := must(w.s.RequestCertificate(w.ctx, in)).CertificateArn
	if again := must(w.s.RequestCertificate(w.ctx, in)).CertificateArn; *again != *arn {
		t.Errorf("the same token made %s and %s", *arn, *again)
	}
	d := must(w.s.DescribeCertificate(w.ctx, &acmapi.DescribeCertificateInput{CertificateArn: arn})).Certificate
	if *d.Status != "ISSUED" || *d.Type != "AMAZON_ISSUED" || *d.DomainName != "*.example.com" || !slices.Equal(d.SubjectAlternativeNames, []string{"*.example.com", "example.com"}) ||
		*d.KeyAlgorithm != "RSA_2048" || *d.Serial != "01:02" || *d.Subject != "CN=*.example.com" || *d.Issuer != "test" || len(d.InUseBy) != 0 {
		t.Errorf("%+v", d)
	}
	records := map[string]bool{}
	for _, v := range d.DomainValidationOptions {
		records[*v.ResourceRecord.Name+*v.ResourceRecord.Value] = true
		if *v.ValidationStatus != "SUCCESS" || *v.ValidationMethod != "DNS" || !strings.HasSuffix(*v.ResourceRecord.Name, ".example.com.") {
			t.Errorf("validation %+v", v)
		}
	}
	if len(records) != 1 {
		t.Errorf("a wildcard and its parent have one record on AWS: %v", records)
	}
	// What was issued verifies against the chain, and its key is the pair's.
	out := must(w.s.GetCertificate(w.ctx, &acmapi.GetCertificateInput{CertificateArn: arn}))
	pair := must(w.s.KeyPair(w.ctx, *arn))
	if kept := must(json.Marshal(must(w.s.get(w.ctx, arn)))); bytes.Contains(kept, []byte("PRIVATE KEY")) {
		t.Error("the private key lies in the open in the store")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(*out.CertificateChain))
	for _, name := range []string{"www.example.com", "example.com"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(pair.Certificate) != 2 {
		t.Errorf("%d certificates are presented", len(pair.Certificate))
	}
	if list := must(w.s.ListCertificates(w.ctx, &acmapi.ListCertificatesInput{})).CertificateSummaryList; len(list) != 1 || *list[0].InUse || *list[0].Status != "ISSUED" {
		t.Errorf("%+v", list)
	}
	w.users = []string{"arn:lb"}
	if _, err := w.s.DeleteCertificate(w.ctx, &acmapi.DeleteCertificateInput{CertificateArn: arn}); err == nil || err.Error() != "ResourceInUseException: Certificate "+*arn+" in account 000000000000 is in use." {
		t.Error(err)
	}
	w.users = nil
	w.clock.Advance(396 * 24 * time.Hour)
	if d := must(w.s.DescribeCertificate(w.ctx, &acmapi.DescribeCertificateInput{CertificateArn: arn})).Certificate; *d.Status != "EXPIRED" {
		t.Errorf("after its end: %s", *d.Status)
	}
	must(w.s.DeleteCertificate(w.ctx, &acmapi.DeleteCertificateInput{CertificateArn: arn}))
	if _, err := w.s.DescribeCertificate(w.ctx, &acmapi.DescribeCertificateInput{CertificateArn: arn}); !aws.IsCode(err, "ResourceNotFoundException") {
		t.Error(err)
	}
}

// ownCertificate is one that somebody made elsewhere.
func ownCertificate(t *testing.T, a *authority, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	der := must(a.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}, private.Public()))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))})
}

func TestImported(t *testing.T) {
	w := newWorld(t)
	a := w.s.Issuer.(*authority)
	cert, key := ownCertificate(t, a, "one.example")
	other, otherKey := ownCertificate(t, a, "two.example")
	arn := must(w.s.ImportCertificate(w.ctx, &acmapi.ImportCertificateInput{Certificate: cert, PrivateKey: key, CertificateChain: a.PEM()})).CertificateArn
	d := must(w.s.DescribeCertificate(w.ctx, &acmapi.DescribeCertificateInput{CertificateArn: arn})).Certificate
	if *d.Type != "IMPORTED" || *d.DomainName != "one.example" || *d.KeyAlgorithm != "EC_prime256v1" || d.ImportedAt == nil {
		t.Errorf("%+v", d)
	}
	if list := must(w.s.ListCertificates(w.ctx, &acmapi.ListCertificatesInput{})).CertificateSummaryList; len(list) != 0 {
		t.Errorf("without a filter only RSA keys are listed: %+v", list)
	}
	all := &acmapi.ListCertificatesInput{Includes: &acmapi.Filters{KeyTypes: []string{"EC_prime256v1"}}}
	if list := must(w.s.ListCertificates(w.ctx, all)).CertificateSummaryList; len(list) != 1 {
		t.Errorf("%+v", list)
	}
	must(w.s.ImportCertificate(w.ctx, &acmapi.ImportCertificateInput{CertificateArn: arn, Certificate: other, PrivateKey: otherKey}))
	if pair := must(w.s.KeyPair(w.ctx, *arn)); pair.Leaf.DNSNames[0] != "two.example" {
		t.Errorf("after the import in its place: %v", pair.Leaf.DNSNames)
	}
	if _, err := w.s.UpdateCertificateOptions(w.ctx, &acmapi.UpdateCertificateOptionsInput{CertificateArn: arn, Options: &acmapi.CertificateOptions{}}); !aws.IsCode(err, "InvalidStateException") {
		t.Error(err)
	}
	requested := must(w.s.RequestCertificate(w.ctx, &acmapi.RequestCertificateInput{DomainName: aws.Ptr("a.example"), KeyAlgorithm: aws.Ptr("EC_prime256v1")})).CertificateArn
	for name, c := range map[string]struct {
		in   acmapi.ImportCertificateInput
		want string
	}{
		"two":             {acmapi.ImportCertificateInput{Certificate: append(slices.Clone(cert), other...), PrivateKey: key}, "more than one certificate"},
		"another's key":   {acmapi.ImportCertificateInput{Certificate: cert, PrivateKey: otherKey}, "does not match"},
		"no key":          {acmapi.ImportCertificateInput{Certificate: cert, PrivateKey: []byte("x")}, "private key is not a valid"},
		"nonsense":        {acmapi.ImportCertificateInput{Certificate: []byte("x"), PrivateKey: key}, "not a valid, PEM-encoded"},
		"chain":           {acmapi.ImportCertificateInput{Certificate: cert, PrivateKey: key, CertificateChain: other}, "certificate chain"},
		"over a request":  {acmapi.ImportCertificateInput{CertificateArn: requested, Certificate: cert, PrivateKey: key}, "was not imported"},
		"tags on a place": {acmapi.ImportCertificateInput{CertificateArn: arn, Certificate: cert, PrivateKey: key, Tags: []acmapi.Tag{{Key: aws.Ptr("a")}}}, "Tagging is not permitted on re-import."},
	} {
		if _, err := w.s.ImportCertificate(w.ctx, &c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDomains(t *testing.T) {
	for name, want := range map[string]bool{
		"a.example": true, "*.a.example": true, "a-b.c.example": true, "A.Example": true, "example": false, "*": false, "a.*.example": false, "-a.example": false,
		"a-.example": false, "a..example": false, "a.b": false, "a_b.example": false, "": false, "a.example.": false,
	} {
		if isDomain(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	request := func(f func(*acmapi.RequestCertificateInput)) error {
		in := &acmapi.RequestCertificateInput{DomainName: aws.Ptr("a.example")}
		f(in)
		_, err := w.s.RequestCertificate(w.ctx, in)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no domain": {request(func(in *acmapi.RequestCertificateInput) { in.DomainName = aws.Ptr("nonsense_") }), "ValidationException: 1 validation error detected: Value 'nonsense_' at 'domainName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^" + domainPattern + "$"},
		"private":   {request(func(in *acmapi.RequestCertificateInput) { in.CertificateAuthorityArn = aws.Ptr("arn") }), "InvalidParameterException: Private certificate authorities: not served by minato."},
		"exportable": {request(func(in *acmapi.RequestCertificateInput) {
			in.Options = &acmapi.CertificateOptions{Export: aws.Ptr("ENABLED")}
		}), "InvalidParameterException: Exportable certificates: not served by minato."},
		"RSA 4096": {request(func(in *acmapi.RequestCertificateInput) { in.KeyAlgorithm = aws.Ptr("RSA_4096") }), "InvalidParameterException: The key algorithm RSA_4096 is not supported for certificates that are requested."},
		"validation": {request(func(in *acmapi.RequestCertificateInput) {
			in.DomainValidationOptions = []acmapi.DomainValidationOption{{DomainName: aws.Ptr("a.example"), ValidationDomain: aws.Ptr("b.example")}}
		}), "InvalidDomainValidationOptionsException: The validation domain b.example is not a parent of the domain name a.example."},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, c.err, c.want)
		}
	}
	if _, err := w.s.GetCertificate(w.ctx, &acmapi.GetCertificateInput{CertificateArn: aws.Ptr("arn:aws:acm:us-east-1:000000000000:certificate/none")}); err == nil || err.Error() != "ResourceNotFoundException: Could not find certificate arn:aws:acm:us-east-1:000000000000:certificate/none." {
		t.Error(err)
	}
	arn := must(w.s.RequestCertificate(w.ctx, &acmapi.RequestCertificateInput{DomainName: aws.Ptr("a.example"), KeyAlgorithm: aws.Ptr("EC_prime256v1")})).CertificateArn
	must(w.s.AddTagsToCertificate(w.ctx, &acmapi.AddTagsToCertificateInput{CertificateArn: arn, Tags: []acmapi.Tag{{Key: aws.Ptr("a"), Value: aws.Ptr("1")}, {Key: aws.Ptr("b"), Value: aws.Ptr("2")}}}))
	must(w.s.RemoveTagsFromCertificate(w.ctx, &acmapi.RemoveTagsFromCertificateInput{CertificateArn: arn, Tags: []acmapi.Tag{{Key: aws.Ptr("a")}, {Key: aws.Ptr("b"), Value: aws.Ptr("other")}}}))
	if tags := must(w.s.ListTagsForCertificate(w.ctx, &acmapi.ListTagsForCertificateInput{CertificateArn: arn})).Tags; len(tags) != 1 || *tags[0].Key != "b" {
		t.Errorf("%+v", tags)
	}
}
