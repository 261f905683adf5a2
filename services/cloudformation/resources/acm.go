package resources

import (
	"context"

	"minato/aws"
	acm "minato/aws/api/acm"
	elb "minato/aws/api/elbv2"
)

// certificateResources makes certificates and hands them to listeners.
type certificateResources struct {
	acm acm.API
	elb elb.API
}

func certificateTypes(inv aws.Invoker) map[string]Type {
	v := certificateResources{acm.NewClient(inv), elb.NewClient(inv)}
	return map[string]Type{
		"AWS::CertificateManager::Certificate":             {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete},
		"AWS::ElasticLoadBalancingV2::ListenerCertificate": {Create: v.add, Ready: v.added, Update: v.replace, Delete: v.remove},
	}
}

func (v certificateResources) create(ctx context.Context, r *Request) (string, error) {
	in := &acm.RequestCertificateInput{
		CertificateAuthorityArn: r.ptr("CertificateAuthorityArn"), DomainName: r.ptr("DomainName"), KeyAlgorithm: r.ptr("KeyAlgorithm"),
		SubjectAlternativeNames: list(r.Properties, "SubjectAlternativeNames"), ValidationMethod: r.ptr("ValidationMethod"), IdempotencyToken: r.token(),
		Tags: tags(r, func(k, v string) acm.Tag { return acm.Tag{Key: &k, Value: &v} }), Options: v.options(r),
	}
	for _, o := range attributesOf[struct{ DomainName, ValidationDomain, HostedZoneID string }](r.Properties, "DomainValidationOptions") {
		if o.ValidationDomain != "" {
			in.DomainValidationOptions = append(in.DomainValidationOptions, acm.DomainValidationOption{DomainName: &o.DomainName, ValidationDomain: &o.ValidationDomain})
		}
	}
	out, err := v.acm.RequestCertificate(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.CertificateArn), nil
}

func (v certificateResources) options(r *Request) *acm.CertificateOptions {
	o := &acm.CertificateOptions{CertificateTransparencyLoggingPreference: r.ptr("CertificateTransparencyLoggingPreference"), Export: r.ptr("CertificateExport")}
	if o.CertificateTransparencyLoggingPreference == nil && o.Export == nil {
		return nil
	}
	return o
}

func (v certificateResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.acm.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	switch s := aws.Val(out.Certificate.Status); s {
	case acm.CertificateStatusIssued:
		return map[string]any{"Id": r.PhysicalID}, true, nil
	case acm.CertificateStatusPendingValidation:
		return nil, false, nil
	default:
		return nil, false, NotStabilized("Certificate %s is in status %s", r.PhysicalID, s)
	}
}

func (v certificateResources) update(ctx context.Context, r *Request) error {
	if o := v.options(r); o != nil && r.changed("CertificateTransparencyLoggingPreference", "CertificateExport") {
		if _, err := v.acm.UpdateCertificateOptions(ctx, &acm.UpdateCertificateOptionsInput{CertificateArn: &r.PhysicalID, Options: o}); err != nil {
			return err
		}
	}
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		in := &acm.RemoveTagsFromCertificateInput{CertificateArn: &r.PhysicalID}
		for _, k := range gone {
			in.Tags = append(in.Tags, acm.Tag{Key: aws.Ptr(k)})
		}
		if _, err := v.acm.RemoveTagsFromCertificate(ctx, in); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &acm.AddTagsToCertificateInput{CertificateArn: &r.PhysicalID}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, acm.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := v.acm.AddTagsToCertificate(ctx, in)
	return err
}

func (v certificateResources) delete(ctx context.Context, r *Request) error {
	_, err := v.acm.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: &r.PhysicalID})
	return gone(err, "ResourceNotFoundException")
}

// certificatesOf reads the certificates of a ListenerCertificate.
func certificatesOf(properties map[string]any) []elb.Certificate {
	return attributesOf[elb.Certificate](properties, "Certificates")
}

func (v certificateResources) add(ctx context.Context, r *Request) (string, error) {
	if _, err := v.elb.AddListenerCertificates(ctx, &elb.AddListenerCertificatesInput{ListenerArn: r.ptr("ListenerArn"), Certificates: certificatesOf(r.Properties)}); err != nil {
		return "", err
	}
	return r.name("", 255), nil
}

func (v certificateResources) added(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func (v certificateResources) replace(ctx context.Context, r *Request) error {
	after := certificatesOf(r.Properties)
	if _, err := v.elb.AddListenerCertificates(ctx, &elb.AddListenerCertificatesInput{ListenerArn: r.ptr("ListenerArn"), Certificates: after}); err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, c := range after {
		keep[aws.Val(c.CertificateArn)] = true
	}
	var old []elb.Certificate
	for _, c := range certificatesOf(r.Previous) {
		if !keep[aws.Val(c.CertificateArn)] {
			old = append(old, c)
		}
	}
	if len(old) == 0 {
		return nil
	}
	_, err := v.elb.RemoveListenerCertificates(ctx, &elb.RemoveListenerCertificatesInput{ListenerArn: r.ptr("ListenerArn"), Certificates: old})
	return err
}

func (v certificateResources) remove(ctx context.Context, r *Request) error {
	_, err := v.elb.RemoveListenerCertificates(ctx, &elb.RemoveListenerCertificatesInput{ListenerArn: r.ptr("ListenerArn"), Certificates: certificatesOf(r.Properties)})
	return gone(err, "ListenerNotFound", "LoadBalancerNotFound")
}
