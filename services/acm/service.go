package acm

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"time"

	"minato/aws"
	acmapi "minato/aws/api/acm"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/pemcert"
	"minato/internal/seal"
	"minato/store"
)

// Issuer signs the certificates that are requested.
type Issuer interface {
	// Issue signs the certificate of a public key and returns it in DER.
	Issue(template *x509.Certificate, public crypto.PublicKey) ([]byte, error)
	// PEM is the issuer's own certificate.
	PEM() []byte
}

// Deps is what the service needs.
type Deps struct {
	Store  store.Store
	Clock  clock.Clock
	Log    *slog.Logger
	Issuer Issuer
	Seal   *seal.Sealer // what private keys are kept under
	// Users returns the ARNs of what uses a certificate.
	Users func(ctx context.Context, certificate string) ([]string, error)
}

// Service implements acmapi.API.
type Service struct {
	Deps
	certificates store.Table[certificate]
}

var _ acmapi.API = (*Service)(nil)

// New makes the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Deps: d, certificates: store.NewTable[certificate](d.Store, "acm/certificate")}
}

// Prefix begins the keys of the records of certificates, for whoever must know
// when one changed.
const Prefix = "acm/certificate/"

// Registration is what the gateway is given.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: acmapi.Model, Handlers: acmapi.Handlers(s), Checks: s.checks}
}

// certificate is the record of a certificate. What changes by itself - the
// status, who uses it - is not in it.
type certificate struct {
	acmapi.CertificateDetail
	Body, Chain string // PEM
	SealedKey   []byte // PEM, sealed for the ARN
	Tags        []acmapi.Tag
	Token       string `json:",omitempty"` // of the request that made it
}

// at is where a call's resources are.
func at(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

func (s *Service) now() *time.Time { return aws.Ptr(s.Clock.Now().UTC().Truncate(time.Millisecond)) }

func notFound(text string) *aws.Error {
	return acmapi.ResourceNotFoundException("Could not find certificate %s.", text)
}

func notServed(what string) *aws.Error {
	return acmapi.InvalidParameterException("%s: not served by minato.", what)
}

// id finds the id in a certificate's ARN of the place.
func id(p arn.Place, text string) (string, error) {
	a, ok := arn.Parse(text)
	if !ok || a.Service != "acm" || a.Kind() != "certificate" || a.ID() == "" || strings.Contains(a.ID(), "/") {
		return "", acmapi.InvalidArnException("The certificate ARN %s is not valid.", text)
	}
	if a.Region != p.Region || a.Account != p.Account {
		return "", notFound(text)
	}
	return a.ID(), nil
}

// get reads a certificate by its ARN.
func (s *Service) get(ctx context.Context, text *string) (certificate, error) {
	p := at(ctx)
	key, err := id(p, aws.Val(text))
	if err != nil {
		return certificate{}, err
	}
	c, found, err := s.certificates.Get(ctx, p.Account, p.Region, key)
	if err == nil && !found {
		err = notFound(aws.Val(text))
	}
	return c, err
}

// change changes a certificate.
func (s *Service) change(ctx context.Context, text *string, f func(c *certificate) error) error {
	p := at(ctx)
	key, err := id(p, aws.Val(text))
	if err != nil {
		return err
	}
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		c, found, err := s.certificates.TxGet(tx, p.Account, p.Region, key)
		if err != nil {
			return err
		}
		if !found {
			return notFound(aws.Val(text))
		}
		if err := f(&c); err != nil {
			return err
		}
		return s.certificates.TxPut(tx, c, p.Account, p.Region, key)
	})
}

// KeyPair is a certificate with its key, for whoever ends TLS.
func (s *Service) KeyPair(ctx context.Context, text string) (*tls.Certificate, error) {
	a, _ := arn.Parse(text)
	ctx = identity.With(ctx, identity.Caller{Account: a.Account, Region: a.Region})
	c, err := s.get(ctx, &text)
	if err != nil {
		return nil, err
	}
	key, err := s.Seal.Open(c.SealedKey, text)
	if err != nil {
		return nil, aws.Internal(err)
	}
	return pemcert.Parse([]byte(c.Body), []byte(c.Chain), key)
}

// checks is what IAM is asked for a call: the operation's own action on the
// certificate, with its tags.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := gateway.Check{Action: op.Action(), Resource: "*", Context: map[string][]string{}}
	var text *string
	var tags []acmapi.Tag
	switch in := in.(type) {
	case *acmapi.AddTagsToCertificateInput:
		text, tags = in.CertificateArn, in.Tags
	case *acmapi.DeleteCertificateInput:
		text = in.CertificateArn
	case *acmapi.DescribeCertificateInput:
		text = in.CertificateArn
	case *acmapi.GetCertificateInput:
		text = in.CertificateArn
	case *acmapi.ImportCertificateInput:
		text, tags = in.CertificateArn, in.Tags
	case *acmapi.ListTagsForCertificateInput:
		text = in.CertificateArn
	case *acmapi.RemoveTagsFromCertificateInput:
		text = in.CertificateArn
	case *acmapi.RequestCertificateInput:
		tags = in.Tags
	case *acmapi.UpdateCertificateOptionsInput:
		text = in.CertificateArn
	}
	if text != nil {
		c.Resource = *text
		if existing, err := s.get(ctx, text); err == nil { // else the operation says what is wrong
			for _, t := range existing.Tags {
				c.Context["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			}
		}
	}
	for _, t := range tags {
		c.Context["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		c.Context["aws:TagKeys"] = append(c.Context["aws:TagKeys"], aws.Val(t.Key))
	}
	return []gateway.Check{c}
}
