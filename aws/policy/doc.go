// Package policy is AWS's policy language: it parses and validates policy
// documents, compiles them once, and decides requests against them.
//
// It is pure: no store, no clock, no service. It lives under aws/ and not in
// services/iam because the language is not IAM's alone: ECR checks repository
// policies with it and STS session policies, and services do not import each
// other.
//
// The order of a decision is AWS's: an explicit deny anywhere wins; then a
// resource policy that names the caller itself is enough inside one account;
// otherwise an identity policy must allow, and so must the permissions boundary
// and every session policy that is present. Evaluate says which statement
// decided, so that a denial can be explained.
//
// Not here: service and resource control policies (there is no organization),
// CanonicalUser principals (S3 only; they parse and match nobody).
package policy
