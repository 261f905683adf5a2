package acm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	acmapi "minato/aws/api/acm"
	"minato/internal/ids"
	"minato/internal/pemcert"
	"minato/store"
)

const (
	life      = 395 * 24 * time.Hour // of an issued certificate, ACM's 13 months
	tokenLife = time.Hour            // of a request's idempotency token
	maxNames  = 100
)

// RequestCertificate has a certificate issued. The same token and name within an
// hour is the same request.
func (s *Service) RequestCertificate(ctx context.Context, in *acmapi.RequestCertificateInput) (*acmapi.RequestCertificateOutput, error) {
	switch {
	case in.CertificateAuthorityArn != nil:
		return nil, notServed("Private certificate authorities")
	case in.ManagedBy != nil:
		return nil, notServed("Certificates that are managed by " + *in.ManagedBy)
	case in.Options != nil && aws.Val(in.Options.Export) == acmapi.CertificateExportEnabled:
		return nil, notServed("Exportable certificates")
	case aws.Val(in.ValidationMethod) == "HTTP":
		return nil, acmapi.InvalidParameterException("The validation method HTTP is for certificates of CloudFront only.")
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	for i, n := range append([]string{aws.Val(in.DomainName)}, in.SubjectAlternativeNames...) {
		if !isDomain(n) {
			member := "domainName"
			if i > 0 {
				member = fmt.Sprintf("subjectAlternativeNames.%d.member", i)
			}
			return nil, acmapi.ValidationException("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: ^%s$", n, member, domainPattern)
		}
	}
	names := []string{strings.ToLower(aws.Val(in.DomainName))}
	for _, n := range in.SubjectAlternativeNames {
		if n = strings.ToLower(n); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) > maxNames {
		return nil, acmapi.LimitExceededException("The maximum number of domain names, %d, has been exceeded.", maxNames)
	}
	if err := checkValidation(in.DomainValidationOptions, names); err != nil {
		return nil, err
	}
	p := at(ctx)
	c := certificate{Tags: tags, Token: aws.Val(in.IdempotencyToken)}
	c.CertificateArn, c.CreatedAt = aws.Ptr(p.Certificate(ids.UUID())), s.now()
	c.Options = &acmapi.CertificateOptions{
		CertificateTransparencyLoggingPreference: aws.Ptr(acmapi.CertificateTransparencyLoggingPreferenceEnabled), Export: aws.Ptr(acmapi.CertificateExportDisabled),
	}
	if in.Options != nil && in.Options.CertificateTransparencyLoggingPreference != nil {
		c.Options.CertificateTransparencyLoggingPreference = in.Options.CertificateTransparencyLoggingPreference
	}
	if old, err := s.requested(ctx, &c, names[0]); err != nil || old != nil {
		return &acmapi.RequestCertificateOutput{CertificateArn: old}, err
	}
	if err := s.issue(&c, names, aws.Val(in.KeyAlgorithm)); err != nil {
		return nil, err
	}
	method := aws.Val(in.ValidationMethod)
	if method == "" {
		method = "EMAIL"
	}
	for _, n := range names {
		c.DomainValidationOptions = append(c.DomainValidationOptions, validation(p.Account, n, method, in.DomainValidationOptions))
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		key, err := id(p, *c.CertificateArn)
		if err != nil {
			return err
		}
		return s.certificates.TxPut(tx, c, p.Account, p.Region, key)
	})
	if err != nil {
		return nil, err
	}
	return &acmapi.RequestCertificateOutput{CertificateArn: c.CertificateArn}, nil
}

// domainPattern is the model's, which Go's regular expressions cannot read.
const domainPattern = `(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])`

var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// isDomain tells whether a name is what domainPattern means.
func isDomain(name string) bool {
	labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	return len(labels) > 1 && len(labels[len(labels)-1]) > 1
}

// requested finds the certificate that an earlier call with the token made.
func (s *Service) requested(ctx context.Context, c *certificate, name string) (*string, error) {
	if c.Token == "" {
		return nil, nil
	}
	p := at(ctx)
	all, err := s.certificates.List(ctx, p.Account, p.Region)
	for i := range all {
		if o := &all[i]; o.Token == c.Token && aws.Val(o.DomainName) == name && s.Clock.Now().Sub(aws.Val(o.CreatedAt)) < tokenLife {
			return o.CertificateArn, nil
		}
	}
	return nil, err
}

func checkValidation(options []acmapi.DomainValidationOption, names []string) error {
	for _, o := range options {
		name, by := strings.ToLower(aws.Val(o.DomainName)), strings.ToLower(aws.Val(o.ValidationDomain))
		switch {
		case !slices.Contains(names, name):
			return acmapi.InvalidDomainValidationOptionsException("The domain name %s is not among the domain names of the certificate.", name)
		case strings.TrimPrefix(name, "*.") != by && !strings.HasSuffix(name, "."+by):
			return acmapi.InvalidDomainValidationOptionsException("The validation domain %s is not a parent of the domain name %s.", by, name)
		}
	}
	return nil
}

// validation is how a domain's validation, which nobody has to wait for, is shown.
func validation(account, name, method string, options []acmapi.DomainValidationOption) acmapi.DomainValidation {
	base := strings.TrimPrefix(name, "*.")
	v := acmapi.DomainValidation{DomainName: &name, ValidationDomain: &base, ValidationMethod: &method, ValidationStatus: aws.Ptr(acmapi.DomainStatusSuccess)}
	for _, o := range options {
		if strings.EqualFold(aws.Val(o.DomainName), name) {
			v.ValidationDomain = o.ValidationDomain
		}
	}
	if method == "EMAIL" {
		for _, user := range []string{"admin", "administrator", "hostmaster", "postmaster", "webmaster"} {
			v.ValidationEmails = append(v.ValidationEmails, user+"@"+*v.ValidationDomain)
		}
		return v
	}
	// The same account and name always have the same record, as on AWS.
	sum := sha256.Sum256([]byte(account + "\x00" + base))
	label, value := hex.EncodeToString(sum[:16]), hex.EncodeToString(sum[16:])
	v.ResourceRecord = &acmapi.ResourceRecord{
		Name: aws.Ptr("_" + label + "." + base + "."), Type: aws.Ptr(acmapi.RecordTypeCname), Value: aws.Ptr("_" + value + ".xlfgrmvvlj.acm-validations.aws."),
	}
	return v
}

// issue makes a key and has its certificate signed.
func (s *Service) issue(c *certificate, names []string, algorithm string) error {
	key, err := newKey(algorithm)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if _, isRSA := key.(*rsa.PrivateKey); isRSA {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if len(names[0]) > 64 { // longer than a common name may be
		template.Subject = pkix.Name{}
	}
	der, err := s.Issuer.Issue(template, key.Public())
	if err != nil {
		return aws.Internal(fmt.Errorf("issue a certificate for %s: %w", names[0], err))
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return aws.Internal(err)
	}
	c.Body, c.Chain = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(s.Issuer.PEM())
	c.SealedKey = s.Seal.Seal(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), *c.CertificateArn)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return aws.Internal(err)
	}
	c.describe(leaf)
	c.DomainName, c.SubjectAlternativeNames = &names[0], names
	c.Type, c.IssuedAt = aws.Ptr(acmapi.CertificateTypeAmazonIssued), c.CreatedAt
	return nil
}

func newKey(algorithm string) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case "", acmapi.KeyAlgorithmRsa2048:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case acmapi.KeyAlgorithmEcPrime256v1:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case acmapi.KeyAlgorithmEcSecp384r1:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return nil, acmapi.InvalidParameterException("The key algorithm %s is not supported for certificates that are requested.", algorithm)
	}
	if err != nil {
		return nil, aws.Internal(err)
	}
	return key, nil
}

// ImportCertificate takes a certificate that was made elsewhere; with an ARN, in
// the place of one that was imported before.
func (s *Service) ImportCertificate(ctx context.Context, in *acmapi.ImportCertificateInput) (*acmapi.ImportCertificateOutput, error) {
	if in.CertificateArn != nil && len(in.Tags) > 0 {
		return nil, acmapi.InvalidParameterException("Tagging is not permitted on re-import.")
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	pair, err := pemcert.Parse(in.Certificate, in.CertificateChain, in.PrivateKey)
	if err != nil {
		return nil, importError(err)
	}
	leaf := pair.Leaf
	if pemcert.Algorithm(leaf.PublicKey) == "" {
		return nil, acmapi.ValidationException("The key algorithm of the certificate is not supported.")
	}
	if now := s.Clock.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return nil, acmapi.ValidationException("The certificate is not valid at the present time: it is from %s to %s.", leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	fill := func(c *certificate) {
		c.Body, c.Chain, c.SealedKey = string(in.Certificate), string(in.CertificateChain), s.Seal.Seal(in.PrivateKey, *c.CertificateArn)
		c.describe(leaf)
		c.ImportedAt, c.Type = s.now(), aws.Ptr(acmapi.CertificateTypeImported)
		c.SubjectAlternativeNames = leaf.DNSNames
		c.DomainName = aws.Ptr(leaf.Subject.CommonName)
		if *c.DomainName == "" && len(leaf.DNSNames) > 0 {
			c.DomainName = &leaf.DNSNames[0]
		}
	}
	if in.CertificateArn != nil {
		err := s.change(ctx, in.CertificateArn, func(c *certificate) error {
			if aws.Val(c.Type) != acmapi.CertificateTypeImported {
				return acmapi.ValidationException("The certificate %s was not imported and cannot be imported again.", *in.CertificateArn)
			}
			fill(c)
			return nil
		})
		return &acmapi.ImportCertificateOutput{CertificateArn: in.CertificateArn}, err
	}
	p, key := at(ctx), ids.UUID()
	c := certificate{Tags: tags}
	c.CertificateArn, c.CreatedAt = aws.Ptr(p.Certificate(key)), s.now()
	c.Options = &acmapi.CertificateOptions{CertificateTransparencyLoggingPreference: aws.Ptr(acmapi.CertificateTransparencyLoggingPreferenceDisabled)}
	fill(&c)
	if err := s.certificates.Put(ctx, c, p.Account, p.Region, key); err != nil {
		return nil, err
	}
	return &acmapi.ImportCertificateOutput{CertificateArn: c.CertificateArn}, nil
}

func importError(err error) error {
	switch {
	case errors.Is(err, pemcert.ErrSeveral):
		return acmapi.ValidationException("The certificate field contains more than one certificate. You can specify only one certificate in this field.")
	case errors.Is(err, pemcert.ErrKey):
		return acmapi.ValidationException("The private key is not a valid, unencrypted, PEM-encoded private key.")
	case errors.Is(err, pemcert.ErrMismatch):
		return acmapi.ValidationException("The private key does not match the certificate.")
	case errors.Is(err, pemcert.ErrChain):
		return acmapi.ValidationException("Could not validate the certificate with the certificate chain.")
	}
	return acmapi.ValidationException("The certificate is not a valid, PEM-encoded X.509 certificate.")
}

// describe fills in what the certificate itself says.
func (c *certificate) describe(leaf *x509.Certificate) {
	c.Serial = aws.Ptr(serial(leaf.SerialNumber.Bytes()))
	c.Subject, c.Issuer = aws.Ptr(subject(leaf.Subject)), aws.Ptr(leaf.Issuer.CommonName)
	if len(leaf.Issuer.Organization) > 0 {
		c.Issuer = aws.Ptr(leaf.Issuer.Organization[0])
	}
	c.NotBefore, c.NotAfter = aws.Ptr(leaf.NotBefore.UTC()), aws.Ptr(leaf.NotAfter.UTC())
	c.KeyAlgorithm = aws.Ptr(pemcert.Algorithm(leaf.PublicKey))
	c.SignatureAlgorithm = aws.Ptr(signature(leaf.SignatureAlgorithm))
	c.KeyUsages, c.ExtendedKeyUsages = nil, nil
	for _, u := range []struct {
		bit  x509.KeyUsage
		name string
	}{
		{x509.KeyUsageDigitalSignature, acmapi.KeyUsageNameDigitalSignature},
		{x509.KeyUsageContentCommitment, acmapi.KeyUsageNameNonRepudiation},
		{x509.KeyUsageKeyEncipherment, acmapi.KeyUsageNameKeyEncipherment},
		{x509.KeyUsageDataEncipherment, acmapi.KeyUsageNameDataEncipherment},
		{x509.KeyUsageKeyAgreement, acmapi.KeyUsageNameKeyAgreement},
		{x509.KeyUsageCertSign, acmapi.KeyUsageNameCertificateSigning},
		{x509.KeyUsageCRLSign, acmapi.KeyUsageNameCrlSigning},
	} {
		if leaf.KeyUsage&u.bit != 0 {
			c.KeyUsages = append(c.KeyUsages, acmapi.KeyUsage{Name: &u.name})
		}
	}
	for _, u := range leaf.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth:
			c.ExtendedKeyUsages = append(c.ExtendedKeyUsages, acmapi.ExtendedKeyUsage{Name: aws.Ptr(acmapi.ExtendedKeyUsageNameTlsWebServerAuthentication), OID: aws.Ptr("1.3.6.1.5.5.7.3.1")})
		case x509.ExtKeyUsageClientAuth:
			c.ExtendedKeyUsages = append(c.ExtendedKeyUsages, acmapi.ExtendedKeyUsage{Name: aws.Ptr(acmapi.ExtendedKeyUsageNameTlsWebClientAuthentication), OID: aws.Ptr("1.3.6.1.5.5.7.3.2")})
		}
	}
}

// serial is a serial number as ACM shows it: 0a:1b:…
func serial(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = fmt.Sprintf("%02x", b[i])
	}
	return strings.Join(parts, ":")
}

func subject(n pkix.Name) string {
	if n.CommonName == "" {
		return n.String()
	}
	return "CN=" + n.CommonName
}

func signature(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.SHA256WithRSA:
		return "SHA256WITHRSA"
	case x509.SHA384WithRSA:
		return "SHA384WITHRSA"
	case x509.SHA512WithRSA:
		return "SHA512WITHRSA"
	case x509.ECDSAWithSHA256:
		return "SHA256WITHECDSA"
	case x509.ECDSAWithSHA384:
		return "SHA384WITHECDSA"
	case x509.ECDSAWithSHA512:
		return "SHA512WITHECDSA"
	}
	return strings.ToUpper(strings.ReplaceAll(a.String(), "-", "WITH"))
}
