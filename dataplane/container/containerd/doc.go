// Package containerd implements container.Runtime on containerd, which it runs
// as a child of its own: the same binary again (MaybeRunRole), in a session of
// its own, with private directories and sockets, so that it outlives us as the
// containers outlive it.
//
// What is where:
//
//	<data>/engine/            containerd's root: content, snapshots, metadata
//	<data>/containerd.log     what containerd says
//	<data>/bin/               minato-shim and minato-helper, by their content hash
//	<data>/groups/<group>/    group.json, hosts, resolv.conf, hostname
//	  c/<container>/          container.json, status.json, log/ (package spool)
//	<run>/e/                  containerd's state: bundles, mounted root file systems
//	<run>/c.sock, <run>/s/    containerd's socket, the shims'
//	<run>/roots/<container>/  root file systems made of the machine's own files
//	/minato-<id>/<group>/<container>, /minato-<id>/shims     cgroups
//
// Who knows what: our files are the authority about what exists and how it
// ended; containerd and its shims about what runs. A container's end is written
// to status.json before containerd is told to forget the task. When containerd
// died, the exit.json files that the shims left are read before and while it
// starts again, because a new containerd cleans up after tasks that ended
// without it, and their status would be gone.
//
//	Ensure            Start                     first process ends
//	------> created -------> running ------------------------------> ended
//	                            |  shim or log writer killed: Reason    ^
//	                            '---------------------------------------'
//
// One goroutine watches each task that runs: it waits for its end, for that of
// its log writer, and across restarts of containerd.
//
// What a containerd that is killed leaves behind is looked for when one starts:
// layers of containers that are gone (collect.go), and shims that it had started
// and not yet written down (stray.go).
package containerd
