// Package acm is AWS Certificate Manager: certificates that are imported, or
// requested and issued at once.
//
// A requested certificate is signed by a certificate authority of this instance
// that the daemon hands in, because no public one would vouch for names on a
// machine of one's own. So there is no validation to wait for: it is ISSUED from
// the first moment, its domains' validations are SUCCESS, and the records that
// AWS would ask to be put into DNS are shown as AWS shows them. Clients must be
// told to trust the authority (GetCertificate's chain).
//
//	RequestCertificate ──► ISSUED ──NotAfter──► EXPIRED
//	ImportCertificate  ──► ISSUED ──NotAfter──► EXPIRED
//	DeleteCertificate: gone; refused while a load balancer uses it
//
// The private key leaves the service in one way only, KeyPair, for whoever ends
// TLS; no operation shows it.
//
// Not here, each refused by name: private certificate authorities, certificates
// for CloudFront, exportable certificates, e-mails.
package acm
