// Package cloudformation makes stacks of templates: it reads the template,
// orders its resources by what they depend on, and makes, changes and removes
// them by calls of the API with the caller's own rights (or those of the role
// that is given). It is a customer like any other: what the API refuses, a
// stack does not get.
//
// What it does: CreateStack, UpdateStack (of what changed, with replacement),
// DeleteStack, change sets, rollback, descriptions, events, exports and imports,
// stacks in stacks (made by calls of this API; a worker of the controller waits
// for another then, so it has many), JSON and YAML, all intrinsic functions of templates about ECS, conditions,
// mappings, parameters, the language extensions (loops), DeletionPolicy and
// UpdateReplacePolicy.
//
// What it does not: custom resources, other transforms and macros, drift, stack
// policies. Each is refused by name.
//
// Dynamic references and parameters of type AWS::SSM::Parameter::Value are read
// with the rights of whoever makes the stack: the parameters when the operation
// is accepted, the references at the call that makes or changes the resource.
// Records, events and templates keep a reference as it is written; the value is
// nowhere but in that call.
//
// An operation writes the stack's record and returns. The reconciler runs the
// stack's phase: it walks the resources (plan_walk.go, pure) in parallel and
// records each step before and after it; after a crash it goes on with what the
// records say. Should the daemon die between a call that makes a resource and
// the record of its answer, the next one looks for what was made: by the tags
// aws:cloudformation:* in EC2, by idempotency token, or by the name that was
// made up. Only a resource with a name from the template is not taken over (it
// could be somebody else's): that creation fails with AlreadyExists.
//
//	                  ┌── fails ──► ROLLBACK_IN_PROGRESS ──► ROLLBACK_COMPLETE
//	CREATE_IN_PROGRESS┤             (or CREATE_FAILED, or deleted: OnFailure)
//	                  └── done ───► CREATE_COMPLETE ◄─┐
//	                                      │ UpdateStack│
//	                                      ▼            │
//	UPDATE_IN_PROGRESS ── done ──► UPDATE_COMPLETE_CLEANUP_IN_PROGRESS ──► UPDATE_COMPLETE
//	        └── fails ──► UPDATE_ROLLBACK_IN_PROGRESS ──► UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS
//	                                      │                          └──► UPDATE_ROLLBACK_COMPLETE
//	                                      └── fails ──► UPDATE_ROLLBACK_FAILED
//
//	DELETE_IN_PROGRESS ──► DELETE_COMPLETE (kept for DescribeStacks by id) or DELETE_FAILED
package cloudformation
