// Package secretsmanager serves AWS Secrets Manager: secrets, their versions
// and staging labels, resource policies, tags, deletion with its recovery
// window, and random passwords.
//
//	secretsmanager/secret/<account>/<region>/<name>             the secret: labels, policy, tags
//	secretsmanager/version/<account>/<region>/<id>/<version>    one version's value, sealed
//
// id is the secret's own, its name with the six random characters that end its
// ARN: a secret made again under the same name does not show the versions of
// the former one, and what a crash leaves of a deleted one is swept.
//
// # Labels
//
// A label is on one version at a time; a version without a label is deprecated
// and may go. They move together in one transaction of the secret's record:
//
//	PutSecretValue, UpdateSecret        new version ◄── AWSCURRENT ── old ◄── AWSPREVIOUS
//	UpdateSecretVersionStage AWSCURRENT the same, between two versions that are there
//	PutSecretValue --version-stages X   new version ◄── X; AWSCURRENT stays
//
// The rules are in stages.go, pure. Two calls with one ClientRequestToken make
// one version: the token is its id.
//
// # Deletion
//
//	     CreateSecret        DeleteSecret            window over
//	(none) ─────► active ──────────────► scheduled ─────────────► (none)
//	                 ▲                       │
//	                 └──── RestoreSecret ────┘
//
// ForceDeleteWithoutRecovery goes to (none) at once, from both.
//
// # At rest
//
// Values lie in the store encrypted (internal/seal: AES-256-GCM) under the
// instance's key, the file secrets.key of the data directory, which only root
// reads. A copy of the store's file shows names, labels and tags, no values.
// Who has the whole data directory, or is root here, has the values.
//
// Not here: rotation (it runs a Lambda function), replicas in other regions,
// KMS keys of one's own, secrets of partners (Type). They are refused, by name.
package secretsmanager
