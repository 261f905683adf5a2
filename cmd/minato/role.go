package main

import (
	"minato/dataplane/build"
	"minato/dataplane/container/containerd"
)

// daemonRoles become one of the daemon's children, if this process was started
// to be one, and do not return then.
func daemonRoles() {
	containerd.MaybeRunRole()
	build.MaybeRunRole()
}
