package iam

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/internal/pemcert"
	"minato/store"
)

// CertificatePrefix begins the keys of the records of server certificates, for
// whoever must know when one changed.
const CertificatePrefix = "iam/server-certificate/"

// maxCertificates is AWS's quota for an account.
const maxCertificates = 20

// serverCertificate is the record of a server certificate.
type serverCertificate struct {
	iamapi.ServerCertificate
	SealedKey []byte // PEM, sealed for the certificate's id
}

func noCertificate(name string) error {
	return iamapi.NoSuchEntityException("The Server Certificate with name %s cannot be found.", name)
}

func (s *Service) certificate(ctx context.Context, name string) (serverCertificate, error) {
	c, found, err := s.certificates.Get(ctx, account(ctx), global, fold(name))
	if err == nil && !found {
		err = noCertificate(name)
	}
	return c, err
}

func (s *Service) changeCertificate(ctx context.Context, name string, f func(tx *store.Tx, c *serverCertificate) error) error {
	return s.change(ctx, func(tx *store.Tx) error {
		c, found, err := s.certificates.TxGet(tx, account(ctx), global, fold(name))
		if err != nil {
			return err
		}
		if !found {
			return noCertificate(name)
		}
		if err := f(tx, &c); err != nil {
			return err
		}
		return s.certificates.TxPut(tx, c, account(ctx), global, fold(*c.ServerCertificateMetadata.ServerCertificateName))
	})
}

// trimmed is a text without the line feeds around it: so certificates are shown,
// and Terraform compares them.
func trimmed(text *string) *string {
	if text == nil {
		return nil
	}
	return aws.Ptr(strings.TrimSpace(*text))
}

// UploadServerCertificate takes a certificate with its key.
func (s *Service) UploadServerCertificate(ctx context.Context, in *iamapi.UploadServerCertificateInput) (*iamapi.UploadServerCertificateOutput, error) {
	pair, err := pemcert.Parse([]byte(*in.CertificateBody), []byte(aws.Val(in.CertificateChain)), []byte(*in.PrivateKey))
	switch {
	case errors.Is(err, pemcert.ErrMismatch):
		return nil, iamapi.KeyPairMismatchException("Certificate and Private Key does not match.")
	case errors.Is(err, pemcert.ErrKey):
		return nil, iamapi.MalformedCertificateException("Invalid Private Key.")
	case errors.Is(err, pemcert.ErrChain):
		return nil, iamapi.MalformedCertificateException("Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, followed by any intermediaries in order. The index within the chain of the invalid certificate is: 0")
	case err != nil:
		return nil, iamapi.MalformedCertificateException("Unable to parse certificate. Please ensure the certificate is in PEM format.")
	}
	path, name := pathOr(in.Path), *in.ServerCertificateName
	c := serverCertificate{ServerCertificate: iamapi.ServerCertificate{
		CertificateBody: trimmed(in.CertificateBody), CertificateChain: trimmed(in.CertificateChain),
		ServerCertificateMetadata: &iamapi.ServerCertificateMetadata{
			Arn: aws.Ptr(arnOf(account(ctx), "server-certificate", path, name)), Expiration: aws.Ptr(pair.Leaf.NotAfter.UTC()), Path: &path,
			ServerCertificateId: uniqueID("ASCA"), ServerCertificateName: &name, UploadDate: s.now(),
		},
	}}
	c.SealedKey = s.seal.Seal([]byte(*in.PrivateKey), *c.ServerCertificateMetadata.ServerCertificateId)
	if c.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		if err := s.certificateFree(tx, name); err != nil {
			return err
		}
		all, err := s.certificates.TxList(tx, account(ctx), global)
		if err != nil {
			return err
		}
		if len(all) >= maxCertificates {
			return iamapi.LimitExceededException("Cannot exceed quota for ServerCertificatesPerAccount: %d", maxCertificates)
		}
		return s.certificates.TxPut(tx, c, account(ctx), global, fold(name))
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.UploadServerCertificateOutput{ServerCertificateMetadata: c.ServerCertificateMetadata, Tags: c.Tags}, nil
}

func (s *Service) certificateFree(tx *store.Tx, name string) error {
	_, found, err := s.certificates.TxGet(tx, account(tx.Context()), global, fold(name))
	if err == nil && found {
		err = iamapi.EntityAlreadyExistsException("The Server Certificate with name %s already exists.", name)
	}
	return err
}

// GetServerCertificate shows a certificate, without its key.
func (s *Service) GetServerCertificate(ctx context.Context, in *iamapi.GetServerCertificateInput) (*iamapi.GetServerCertificateOutput, error) {
	c, err := s.certificate(ctx, *in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	return &iamapi.GetServerCertificateOutput{ServerCertificate: &c.ServerCertificate}, nil
}

// ListServerCertificates lists certificates.
func (s *Service) ListServerCertificates(ctx context.Context, in *iamapi.ListServerCertificatesInput) (*iamapi.ListServerCertificatesOutput, error) {
	all, err := s.certificates.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	var list []iamapi.ServerCertificateMetadata
	for i := range all {
		if m := all[i].ServerCertificateMetadata; underPath(m.Path, in.PathPrefix) {
			list = append(list, *m)
		}
	}
	out := &iamapi.ListServerCertificatesOutput{}
	name := func(m *iamapi.ServerCertificateMetadata) string { return *m.ServerCertificateName }
	out.ServerCertificateMetadataList, out.Marker, out.IsTruncated, err = page(list, name, in.Marker, in.MaxItems)
	return out, err
}

// UpdateServerCertificate gives a certificate another name or path.
func (s *Service) UpdateServerCertificate(ctx context.Context, in *iamapi.UpdateServerCertificateInput) (*iamapi.UpdateServerCertificateOutput, error) {
	return &iamapi.UpdateServerCertificateOutput{}, s.changeCertificate(ctx, *in.ServerCertificateName, func(tx *store.Tx, c *serverCertificate) error {
		m := c.ServerCertificateMetadata
		if users, err := s.usersOf(ctx, *m.Arn); err != nil || len(users) > 0 {
			return inUse(*m.ServerCertificateName, users, err)
		}
		if n := aws.Val(in.NewServerCertificateName); n != "" && n != *m.ServerCertificateName {
			if fold(n) != fold(*m.ServerCertificateName) {
				if err := s.certificateFree(tx, n); err != nil {
					return err
				}
				s.certificates.TxDelete(tx, account(ctx), global, fold(*m.ServerCertificateName))
			}
			m.ServerCertificateName = &n
		}
		if in.NewPath != nil {
			m.Path = in.NewPath
		}
		m.Arn = aws.Ptr(arnOf(account(ctx), "server-certificate", *m.Path, *m.ServerCertificateName))
		return nil
	})
}

func (s *Service) usersOf(ctx context.Context, text string) ([]string, error) {
	if s.certificateUsers == nil {
		return nil, nil
	}
	return s.certificateUsers(ctx, text)
}

func inUse(name string, users []string, err error) error {
	if err != nil {
		return err
	}
	return iamapi.DeleteConflictException("Certificate: %s is currently in use by %s. Please remove it first before deleting it from IAM.", name, strings.Join(users, ", "))
}

// DeleteServerCertificate removes a certificate that nothing uses.
func (s *Service) DeleteServerCertificate(ctx context.Context, in *iamapi.DeleteServerCertificateInput) (*iamapi.DeleteServerCertificateOutput, error) {
	c, err := s.certificate(ctx, *in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	if users, err := s.usersOf(ctx, *c.ServerCertificateMetadata.Arn); err != nil || len(users) > 0 {
		return nil, inUse(*in.ServerCertificateName, users, err)
	}
	return &iamapi.DeleteServerCertificateOutput{}, s.change(ctx, func(tx *store.Tx) error {
		s.certificates.TxDelete(tx, account(ctx), global, fold(*in.ServerCertificateName))
		return nil
	})
}

// KeyPair is a certificate with its key, for whoever ends TLS.
func (s *Service) KeyPair(ctx context.Context, text string) (*tls.Certificate, error) {
	a, _ := arn.Parse(text)
	c, found, err := s.certificates.Get(ctx, a.Account, global, fold(a.Last()))
	if err != nil {
		return nil, err
	}
	if !found || aws.Val(c.ServerCertificateMetadata.Arn) != text {
		return nil, noCertificate(a.Last())
	}
	key, err := s.seal.Open(c.SealedKey, *c.ServerCertificateMetadata.ServerCertificateId)
	if err != nil {
		return nil, aws.Internal(err)
	}
	return pemcert.Parse([]byte(*c.CertificateBody), []byte(aws.Val(c.CertificateChain)), key)
}

// TagServerCertificate adds tags.
func (s *Service) TagServerCertificate(ctx context.Context, in *iamapi.TagServerCertificateInput) (*iamapi.TagServerCertificateOutput, error) {
	return &iamapi.TagServerCertificateOutput{}, s.changeCertificate(ctx, *in.ServerCertificateName, func(_ *store.Tx, c *serverCertificate) (err error) {
		c.Tags, err = mergeTags(c.Tags, in.Tags)
		return err
	})
}

// UntagServerCertificate removes tags.
func (s *Service) UntagServerCertificate(ctx context.Context, in *iamapi.UntagServerCertificateInput) (*iamapi.UntagServerCertificateOutput, error) {
	return &iamapi.UntagServerCertificateOutput{}, s.changeCertificate(ctx, *in.ServerCertificateName, func(_ *store.Tx, c *serverCertificate) error {
		c.Tags = dropTags(c.Tags, in.TagKeys)
		return nil
	})
}

// ListServerCertificateTags shows tags.
func (s *Service) ListServerCertificateTags(ctx context.Context, in *iamapi.ListServerCertificateTagsInput) (*iamapi.ListServerCertificateTagsOutput, error) {
	c, err := s.certificate(ctx, *in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListServerCertificateTagsOutput{}
	key := func(t *iamapi.Tag) string { return *t.Key }
	out.Tags, out.Marker, out.IsTruncated, err = page(c.Tags, key, in.Marker, in.MaxItems)
	return out, err
}
