// Package protocol speaks AWS's wire protocols: it finds out which operation of
// which service a request means, decodes its input, and encodes the output or
// the error, byte for byte as an unmodified client expects.
//
// How a client says what it wants:
//
//   - JSON services (ECS, ECR, Logs, Cloud9): the header X-Amz-Target is
//     "<target prefix>.<operation>", the body is JSON.
//   - query services (IAM, STS, RDS, ELBv2, CloudFormation) and EC2: a form with
//     Action and Version, in the body or in the URL. The version alone names the
//     service (no two of AWS's share one); the service in the SigV4 credential
//     scope decides when a version is missing or unknown.
//   - RPC v2 (CloudWatch): the header Smithy-Protocol says so, the path is
//     /service/<name>/operation/<operation>, the body is CBOR. CloudWatch is
//     spoken in all three; its newer protocols tell the query protocol's error
//     codes in a header beside their own.
//   - REST-XML (S3): method, path and query; the bucket is in the host or the
//     path, members are in headers, the query and the body, and the body may be
//     gigabytes that are never held in memory.
//
// A protocol is a codec: decode a form or body into an input struct, append a
// response or an error to a byte slice. All work from the static tables in the
// generated packages (aws.Shape); nothing is compiled per request.
package protocol
