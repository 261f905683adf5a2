package acm

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"minato/aws"
	acmapi "minato/aws/api/acm"
)

const maxTags = 50

// status is what a certificate is now.
func (s *Service) status(c *certificate) *string {
	if s.Clock.Now().After(aws.Val(c.NotAfter)) {
		return aws.Ptr(acmapi.CertificateStatusExpired)
	}
	return aws.Ptr(acmapi.CertificateStatusIssued)
}

// DescribeCertificate shows a certificate.
func (s *Service) DescribeCertificate(ctx context.Context, in *acmapi.DescribeCertificateInput) (*acmapi.DescribeCertificateOutput, error) {
	c, err := s.get(ctx, in.CertificateArn)
	if err != nil {
		return nil, err
	}
	d := c.CertificateDetail
	d.Status = s.status(&c)
	if d.InUseBy, err = s.Users(ctx, *d.CertificateArn); err != nil {
		return nil, err
	}
	d.RenewalEligibility = aws.Ptr(acmapi.RenewalEligibilityIneligible)
	return &acmapi.DescribeCertificateOutput{Certificate: &d}, nil
}

// GetCertificate returns a certificate and the chain of its issuers.
func (s *Service) GetCertificate(ctx context.Context, in *acmapi.GetCertificateInput) (*acmapi.GetCertificateOutput, error) {
	c, err := s.get(ctx, in.CertificateArn)
	if err != nil {
		return nil, err
	}
	out := &acmapi.GetCertificateOutput{Certificate: &c.Body}
	if c.Chain != "" {
		out.CertificateChain = &c.Chain
	}
	return out, nil
}

// DeleteCertificate removes a certificate that nothing uses.
func (s *Service) DeleteCertificate(ctx context.Context, in *acmapi.DeleteCertificateInput) (*acmapi.DeleteCertificateOutput, error) {
	c, err := s.get(ctx, in.CertificateArn)
	if err != nil {
		return nil, err
	}
	users, err := s.Users(ctx, *c.CertificateArn)
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	if len(users) > 0 {
		return nil, acmapi.ResourceInUseException("Certificate %s in account %s is in use.", *c.CertificateArn, p.Account)
	}
	key, err := id(p, *c.CertificateArn)
	if err != nil {
		return nil, err
	}
	return &acmapi.DeleteCertificateOutput{}, s.certificates.Delete(ctx, p.Account, p.Region, key)
}

// ListCertificates lists certificates, the newest first. Without a filter for
// key types it shows RSA keys of up to 2048 bits, as ACM does.
func (s *Service) ListCertificates(ctx context.Context, in *acmapi.ListCertificatesInput) (*acmapi.ListCertificatesOutput, error) {
	p := at(ctx)
	all, err := s.certificates.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	if in.SortBy == nil && in.SortOrder != nil || in.SortBy != nil && in.SortOrder == nil {
		return nil, acmapi.InvalidArgsException("SortBy and SortOrder must be given together.")
	}
	slices.SortFunc(all, func(x, y certificate) int {
		n := aws.Val(y.CreatedAt).Compare(aws.Val(x.CreatedAt))
		if n == 0 {
			n = strings.Compare(aws.Val(x.CertificateArn), aws.Val(y.CertificateArn))
		}
		if aws.Val(in.SortOrder) == "ASCENDING" {
			n = -n
		}
		return n
	})
	out := &acmapi.ListCertificatesOutput{CertificateSummaryList: []acmapi.CertificateSummary{}}
	after := ""
	if in.NextToken != nil {
		b, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		if err != nil {
			return nil, acmapi.InvalidArgsException("The NextToken is not valid.")
		}
		after = string(b)
	}
	most := 1000
	if in.MaxItems != nil {
		most = int(*in.MaxItems)
	}
	for i := range all {
		c := &all[i]
		if after != "" {
			if *c.CertificateArn == after {
				after = ""
			}
			continue
		}
		if !s.listed(c, in) {
			continue
		}
		if n := len(out.CertificateSummaryList); n == most {
			out.NextToken = aws.Ptr(base64.RawURLEncoding.EncodeToString([]byte(*out.CertificateSummaryList[n-1].CertificateArn)))
			break
		}
		summary, err := s.summary(ctx, c)
		if err != nil {
			return nil, err
		}
		out.CertificateSummaryList = append(out.CertificateSummaryList, summary)
	}
	return out, nil
}

// listed tells whether a certificate passes the filters.
func (s *Service) listed(c *certificate, in *acmapi.ListCertificatesInput) bool {
	if len(in.CertificateStatuses) > 0 && !slices.Contains(in.CertificateStatuses, *s.status(c)) {
		return false
	}
	keys := []string{acmapi.KeyAlgorithmRsa1024, acmapi.KeyAlgorithmRsa2048}
	if f := in.Includes; f != nil {
		if len(f.KeyTypes) > 0 {
			keys = f.KeyTypes
		}
		usages, extended := c.usages()
		all := func(want, have []string) bool {
			return !slices.ContainsFunc(want, func(u string) bool { return !slices.Contains(have, u) && u != "ANY" })
		}
		if !all(f.KeyUsage, usages) || !all(f.ExtendedKeyUsage, extended) || f.ManagedBy != nil || aws.Val(f.ExportOption) == acmapi.CertificateExportEnabled {
			return false
		}
	}
	return slices.Contains(keys, aws.Val(c.KeyAlgorithm))
}

func (c *certificate) usages() (plain, extended []string) {
	for _, u := range c.KeyUsages {
		plain = append(plain, aws.Val(u.Name))
	}
	for _, u := range c.ExtendedKeyUsages {
		extended = append(extended, aws.Val(u.Name))
	}
	return plain, extended
}

func (s *Service) summary(ctx context.Context, c *certificate) (acmapi.CertificateSummary, error) {
	users, err := s.Users(ctx, *c.CertificateArn)
	usages, extended := c.usages()
	return acmapi.CertificateSummary{
		CertificateArn: c.CertificateArn, CreatedAt: c.CreatedAt, DomainName: c.DomainName, ExtendedKeyUsages: extended, KeyUsages: usages,
		HasAdditionalSubjectAlternativeNames: aws.Ptr(false), ImportedAt: c.ImportedAt, InUse: aws.Ptr(len(users) > 0), IssuedAt: c.IssuedAt, KeyAlgorithm: c.KeyAlgorithm,
		NotAfter: c.NotAfter, NotBefore: c.NotBefore, RenewalEligibility: aws.Ptr(acmapi.RenewalEligibilityIneligible), Status: s.status(c),
		SubjectAlternativeNameSummaries: c.SubjectAlternativeNames, Type: c.Type, Exported: aws.Ptr(false),
	}, err
}

// UpdateCertificateOptions says whether a certificate is to be in the public
// logs. None of this instance's is in them.
func (s *Service) UpdateCertificateOptions(ctx context.Context, in *acmapi.UpdateCertificateOptionsInput) (*acmapi.UpdateCertificateOptionsOutput, error) {
	if in.Options != nil && aws.Val(in.Options.Export) == acmapi.CertificateExportEnabled {
		return nil, notServed("Exportable certificates")
	}
	return &acmapi.UpdateCertificateOptionsOutput{}, s.change(ctx, in.CertificateArn, func(c *certificate) error {
		if aws.Val(c.Type) == acmapi.CertificateTypeImported {
			return acmapi.InvalidStateException("The certificate %s is imported; it has no options.", *c.CertificateArn)
		}
		if in.Options != nil && in.Options.CertificateTransparencyLoggingPreference != nil {
			c.Options.CertificateTransparencyLoggingPreference = in.Options.CertificateTransparencyLoggingPreference
		}
		return nil
	})
}

// mergeTags adds tags to those that are there.
func mergeTags(have, add []acmapi.Tag) ([]acmapi.Tag, error) {
	out, seen := slices.Clone(have), map[string]bool{}
	for _, t := range add {
		key := aws.Val(t.Key)
		switch {
		case seen[key]:
			return nil, acmapi.InvalidTagException("Tag key %s is given twice.", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, acmapi.InvalidTagException("Tag keys that begin with aws: are reserved for internal use.")
		}
		seen[key] = true
		if i := slices.IndexFunc(out, func(o acmapi.Tag) bool { return aws.Val(o.Key) == key }); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, acmapi.TooManyTagsException("A certificate can have %d tags at most.", maxTags)
	}
	return out, nil
}

// AddTagsToCertificate adds tags.
func (s *Service) AddTagsToCertificate(ctx context.Context, in *acmapi.AddTagsToCertificateInput) (*acmapi.AddTagsToCertificateOutput, error) {
	return &acmapi.AddTagsToCertificateOutput{}, s.change(ctx, in.CertificateArn, func(c *certificate) (err error) {
		c.Tags, err = mergeTags(c.Tags, in.Tags)
		return err
	})
}

// RemoveTagsFromCertificate removes tags: by key, or, where a value is given,
// only with that value.
func (s *Service) RemoveTagsFromCertificate(ctx context.Context, in *acmapi.RemoveTagsFromCertificateInput) (*acmapi.RemoveTagsFromCertificateOutput, error) {
	return &acmapi.RemoveTagsFromCertificateOutput{}, s.change(ctx, in.CertificateArn, func(c *certificate) error {
		c.Tags = slices.DeleteFunc(c.Tags, func(t acmapi.Tag) bool {
			return slices.ContainsFunc(in.Tags, func(o acmapi.Tag) bool {
				return aws.Val(o.Key) == aws.Val(t.Key) && (o.Value == nil || *o.Value == aws.Val(t.Value))
			})
		})
		return nil
	})
}

// ListTagsForCertificate shows tags.
func (s *Service) ListTagsForCertificate(ctx context.Context, in *acmapi.ListTagsForCertificateInput) (*acmapi.ListTagsForCertificateOutput, error) {
	c, err := s.get(ctx, in.CertificateArn)
	if err != nil {
		return nil, err
	}
	return &acmapi.ListTagsForCertificateOutput{Tags: c.Tags}, nil
}
