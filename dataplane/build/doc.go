// Package build makes images of Dockerfiles with BuildKit, as a library.
//
// BuildKit runs in a child process, the builder: our own binary in the role
// that MaybeRunRole decides. It is started by the first build, serves whoever
// connects to its socket (mode 0600), and ends some seconds after the last
// connection did. What it keeps is its cache, in the folder it is given, held
// small by BuildKit's collector.
//
// The builder needs no containerd and no daemon: runc and an overlay
// snapshotter are enough, so that an image can be built before anything else
// runs. It needs root.
//
// A RUN step has a network namespace of its own in which there is nothing but
// loopback. The way out is an HTTP proxy that listens inside the namespace and
// that HTTP_PROXY and its like name (egress.go); it connects to public addresses
// only: not to this machine, nor to its LAN, nor to other builds. What does not
// speak HTTP through a proxy has no network. There is no host network and no
// insecure entitlement, whatever the Dockerfile asks for.
//
// A second builder of the same instance is confined: for whoever is not root of
// this machine (confined.go), what FROM and ADD fetch is held to the same
// addresses as RUN, git included.
//
// Images of our own registry are reached at the address the configuration
// names, without TLS and without the host's names, over loopback.
package build
