// Package registry is an OCI distribution 1.1 registry over containerd's
// content store: what is pushed here is already where the runtime looks for
// it, so that a task's "pull" is an unpack.
//
// The package knows no AWS. Who may do what is asked of an Authorizer; which
// repositories there are, and which digest belongs to which, is kept by
// Repositories and is the authority: a blob that was pushed to repository A is
// unknown in B until it is pushed there too, or mounted.
//
// # How content is kept
//
//	upload   a lease (it expires after a day) and an ingest of the same name;
//	         both are containerd's and survive a restart of ours, so that a
//	         client resumes where it was. While the daemon lives the writer stays
//	         open between the requests of one upload: reopening hashes anew.
//	commit   containerd hashes while the bytes pass, once; it syncs the file and
//	         its directory before it renames, then the content carries the labels
//	         gc.root (nobody may collect it) and ours. Only then is the record
//	         of membership written, and only then is the client answered.
//	delete   takes the record. Sweep takes the gc.root of content that belongs
//	         to no repository any more (or never did: a crash between commit and
//	         record); what a task still uses is held by the runtime's leases.
//	manifest content too, with gc.ref labels to its children, so that a lease
//	         on the manifest holds the whole image.
//
// What was answered with 201 is therefore on the disk: file, metadata and
// record are synced, in this order. A chunk answered with 202 is not synced; a
// power cut may lose it, and the client learns that from the offset.
//
// A full disk is answered with 507 and "no space left on device", and the
// upload is given up, so that its bytes are free again at once.
//
// # Pulling
//
// Puller makes images present for tasks: those of this registry by looking
// them up, public ones over the network by containerd's resolver, through the
// task's own route.
package registry
