// Package cloud9 serves AWS Cloud9: development environments, each on an EC2
// instance of its own (services/ec2: a container with the machine's tools and a
// home that stays). Terminals are opened by `minato shell`, which asks this
// package which instance to enter (Enter).
//
//	CreateEnvironmentEC2       instance runs                DeleteEnvironment      instance and group gone
//	───────────► CREATING ───────────────────► CREATED ───────────────► DELETING ─────────────────► (nothing)
//	                 │ EC2 refuses                                          │ EC2 refuses
//	                 ▼                                                      ▼
//	           CREATE_FAILED                                          DELETE_FAILED
//
// As on AWS an environment has a security group of its own that lets nothing in,
// and stops its instance after automaticStopTimeMinutes without a terminal;
// opening one starts it again. It is reached under the service-linked role.
//
// What an environment may do on AWS is what its instance's profile allows:
// AWS's temporary credentials of the owner (managed credentials) are not here,
// and switching them on is refused.
//
// Not here: SSH environments, and members besides the owner.
package cloud9
