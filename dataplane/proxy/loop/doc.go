// Package loop is an event loop over sockets: one thread that serves many
// connections, with io_uring where the kernel has it and epoll where not. It
// knows nothing of HTTP and of load balancers.
//
// # Why it is so
//
// What a small request costs a proxy is not its own code: nine tenths are spent
// in the kernel, most of it sending, which on one machine includes receiving
// and waking whoever waits for the bytes. docs/performance.md has the figures.
// What can be saved is therefore
//
//   - waking: a thread (SCHED_BATCH) that does not push others off their
//     processor as soon as the first byte is there finds many connections ready
//     when its turn comes, and so do those it sends to;
//   - entering the kernel: all sends and receives of a turn go with one
//     io_uring_enter; receives wait for bytes first, and a buffer is given to
//     them only when there are some, so that a connection at rest holds none;
//   - hand-overs between goroutines: there are none.
//
// # How it is used
//
// A Loop runs everything on its own thread: the functions given to Do and the
// methods of Handlers. None of them may block. A Conn and what hangs on it
// belong to that thread alone and need no locks.
//
// Loops accept connections themselves, all from one listening socket (Shared,
// Listener): the kernel wakes one of those that wait, and each takes its turn.
// With a socket each (SO_REUSEPORT) a connection would wait for a loop that is
// busy while another one is not, and one for all by a goroutine wakes two threads
// for each.
//
// Reading is asked for, once for each Received: who does not ask is not given,
// and the other side's window closes. Bytes to send are appended to Out and go
// with Flush.
package loop
