// Package ssm serves the Parameter Store of AWS Systems Manager: parameters with
// their versions, labels and tags, found by name, by path and by filters.
//
//	ssm/parameter/<account>/<region>/<name>          the parameter: its newest version, labels, tags
//	ssm/version/<account>/<region>/<id>/<number>     one version, of at most 100
//
// id is the parameter's own, made new each time: a parameter made again under
// the same name begins at version 1 and has no history. A parameter and its
// versions go in one transaction.
//
//	name.go       what a name may be, and what NAME:SELECTOR means
//	put.go        PutParameter: types, tiers, patterns, versions
//	get.go        by name; values of SecureString are opened here and nowhere else
//	list.go       by path and by filters
//	label.go      labels and history
//	reference.go  /aws/reference/secretsmanager/NAME: a secret, read as the caller
//	public.go     /aws/service/…: what AWS publishes, as far as it is true here
//
// Values of SecureString lie in the store encrypted under the instance's key
// (internal/seal), as those of Secrets Manager do; other values do not.
//
// Not here: the rest of Systems Manager (documents, Run Command, Session
// Manager, inventory …), parameter policies, KMS keys of one's own, parameters
// shared by other accounts.
package ssm
