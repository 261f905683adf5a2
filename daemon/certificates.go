package daemon

import (
	"context"
	"crypto/tls"

	"minato/aws/arn"
)

// certificate finds a certificate with its key for whoever ends TLS: in ACM, or
// among IAM's server certificates. Keys pass here, since no operation shows them.
func (d *daemon) certificate(ctx context.Context, text string) (*tls.Certificate, error) {
	if a, ok := arn.Parse(text); ok && a.Service == "iam" {
		return d.iam.KeyPair(ctx, text)
	}
	return d.acm.KeyPair(ctx, text)
}

// certificateUsers are the load balancers that use a certificate.
func (d *daemon) certificateUsers(ctx context.Context, text string) ([]string, error) {
	return d.elb.CertificateUsers(ctx, text)
}
