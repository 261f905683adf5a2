// Package secure has crypto/tls work on a loop's thread: over memory, where no read
// may wait.
//
// Records are read and written when there are bytes for it (Pipe): crypto/tls takes
// a read that finds nothing for a passing failure and goes on the next time. A
// handshake it would give up, so one that has to wait is left where it is: each runs
// in a coroutine (iter.Pull), to which the loop's thread goes over when bytes have
// come and from which it returns when more are needed. That costs about a
// microsecond each time; no other thread is woken, and nothing is handed over.
package secure
