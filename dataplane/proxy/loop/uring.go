package loop

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is used of linux/io_uring.h.
const (
	setupCQSize       = 1 << 3
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featureSingleMmap = 1 << 0
	featureNoDrop     = 1 << 1
	featureExtArg     = 1 << 8
	featureBundle     = 1 << 14 // of the same kernel as acceptPollFirst and cqeMore

	offSQRing = 0
	offSQEs   = 0x10000000

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerPbufRing = 22

	opPollAdd     = 6
	opAccept      = 13
	opAsyncCancel = 14
	opRead        = 22
	opSend        = 26
	opRecv        = 27

	sqeBufferSelect  = 1 << 5
	recvPollFirst    = 1 << 0
	acceptPollFirst  = 1 << 2
	cqeMore          = 1 << 2 // of an accept: another connection waits
	cancelAll        = 1 << 0
	cancelFD         = 1 << 1
	cqeBuffer        = 1 << 0
	cqeBufferShift   = 16
	sqEntries        = 1024
	cqEntries        = 8192
	recvBuffers      = 128
	recvBufferSize   = 16 << 10
	bufferGroup      = 0
	bufferRingLayout = 16 // bytes of an entry
)

type sqe struct {
	op       uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	length   uint32
	opFlags  uint32
	userData uint64
	bufGroup uint16
	_        uint16
	_        int32
	_        [2]uint64
}

type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

type uringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     sqOffsets
	cq                                                                     cqOffsets
}

type getEventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWait     uint32
	ts          uint64
}

type bufferEntry struct {
	addr   uint64
	length uint32
	id     uint16
	tail   uint16 // of the ring, in its first entry
}

// The kinds of operations; a connection's key is above them in the user data.
const (
	kindNone = iota
	kindWake
	kindRecv
	kindSend
	kindAccept
	kindConnect
	kindCancel
	kindDeafen
	kindBits = 8
)

// uring asks the kernel by io_uring. Completions are delivered when this thread
// asks for them and at no other time (DEFER_TASKRUN), so that nothing is
// interrupted for them.
type uring struct {
	l  *Loop
	fd int

	rings, sqeMem, bufMem, bufRing []byte

	sqTail, cqHead, cqTail *uint32
	sqes                   []sqe
	cqes                   []cqe
	tail                   uint32 // of the submission queue, not published yet
	begun                  uint32 // of it, not submitted yet
	spilled                []sqe  // had no room in the queue
	fault                  error  // met outside of a turn
	dead                   bool   // the kernel is not asked any more

	buffers    []bufferEntry
	bufferTail uint16

	conns []*Conn // by key
	keys  []uint32
	doors []*Listener // by key
	hints bool        // an accept tells whether another connection waits
	value [8]byte     // the eventfd's
	// How long enter waits. It is here because a stack may move on the way into
	// the kernel, and an address within an argument does not move with it.
	patience unix.Timespec
	arg      getEventsArg
}

func newURing(l *Loop) (_ *uring, err error) {
	p := uringParams{cqEntries: cqEntries, flags: setupCQSize | setupSingleIssuer | setupDeferTaskrun}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, sqEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	u := &uring{l: l, fd: int(fd)}
	unix.CloseOnExec(u.fd)
	defer func() {
		if err != nil {
			u.unmap()
		}
	}()
	if need := uint32(featureSingleMmap | featureNoDrop | featureExtArg); p.features&need != need {
		return nil, errors.New("io_uring is too old")
	}
	size := max(int(p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{}))), int(p.sq.array+p.sqEntries*4))
	if u.rings, err = unix.Mmap(u.fd, offSQRing, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, err
	}
	if u.sqeMem, err = unix.Mmap(u.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, err
	}
	u.hints = p.features&featureBundle != 0
	at := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&u.rings[off])) }
	u.sqTail, u.cqHead, u.cqTail = at(p.sq.tail), at(p.cq.head), at(p.cq.tail)
	u.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&u.sqeMem[0])), p.sqEntries)
	u.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&u.rings[p.cq.cqes])), p.cqEntries)
	for i := range p.sqEntries {
		*at(p.sq.array + 4*i) = i
	}
	u.tail = *u.sqTail
	if err := u.provide(); err != nil {
		return nil, err
	}
	u.awaitWake()
	return u, nil
}

// provide gives the kernel the buffers to receive into.
func (u *uring) provide() (err error) {
	anonymous := func(size int) ([]byte, error) {
		return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	}
	if u.bufMem, err = anonymous(recvBuffers * recvBufferSize); err != nil {
		return err
	}
	if u.bufRing, err = anonymous(recvBuffers * bufferRingLayout); err != nil {
		return err
	}
	u.buffers = unsafe.Slice((*bufferEntry)(unsafe.Pointer(&u.bufRing[0])), recvBuffers)
	for i := range recvBuffers {
		u.giveBack(uint16(i))
	}
	register := struct {
		addr    uint64
		entries uint32
		group   uint16
		flags   uint16
		_       [3]uint64
	}{addr: uint64(uintptr(unsafe.Pointer(&u.bufRing[0]))), entries: recvBuffers, group: bufferGroup}
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), registerPbufRing, uintptr(unsafe.Pointer(&register)), 1, 0, 0); errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	return nil
}

func (u *uring) buffer(id uint16) []byte {
	return u.bufMem[int(id)*recvBufferSize : (int(id)+1)*recvBufferSize]
}

// giveBack puts a buffer at the ring's end.
func (u *uring) giveBack(id uint16) {
	e := &u.buffers[u.bufferTail&(recvBuffers-1)]
	e.addr, e.length, e.id = uint64(uintptr(unsafe.Pointer(&u.buffer(id)[0]))), recvBufferSize, id
	u.bufferTail++
	// The tail lies in the last two bytes of the first entry, beside its id.
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&u.bufRing[12])), uint32(u.buffers[0].id)|uint32(u.bufferTail)<<16)
}

// next is a free entry of the submission queue.
func (u *uring) next(op uint8, fd int, kind uint64, key uint32) *sqe {
	if u.full() && !u.dead && u.fault == nil {
		u.fault = u.enter(0)
	}
	blank := sqe{op: op, fd: int32(fd), userData: uint64(key)<<kindBits | kind}
	if u.dead || u.full() || len(u.spilled) > 0 { // no room, or it is never submitted
		u.spilled = append(u.spilled, blank)
		return &u.spilled[len(u.spilled)-1]
	}
	s := u.last()
	*s = blank
	return s
}

// full reports whether the submission queue has no room.
func (u *uring) full() bool { return u.begun == uint32(len(u.sqes)) }

// last makes room for one entry at the queue's end.
func (u *uring) last() *sqe {
	s := &u.sqes[u.tail&uint32(len(u.sqes)-1)]
	u.tail++
	u.begun++
	return s
}

// refill moves to the queue what had no room there.
func (u *uring) refill() {
	n := 0
	for ; n < len(u.spilled) && !u.full(); n++ {
		*u.last() = u.spilled[n]
	}
	u.spilled = u.spilled[:copy(u.spilled, u.spilled[n:])]
}

func (u *uring) awaitWake() {
	s := u.next(opRead, u.l.wake, kindWake, 0)
	s.addr, s.length = uint64(uintptr(unsafe.Pointer(&u.value[0]))), uint32(len(u.value))
}

func (u *uring) add(c *Conn) error {
	if n := len(u.keys); n > 0 {
		c.key = u.keys[n-1]
		u.keys = u.keys[:n-1]
		u.conns[c.key] = c
		return nil
	}
	c.key = uint32(len(u.conns))
	u.conns = append(u.conns, c)
	return nil
}

func (u *uring) remove(c *Conn) {
	u.conns[c.key] = nil
	u.keys = append(u.keys, c.key)
}

func (u *uring) connect(c *Conn) {
	u.next(opPollAdd, int(c.fd), kindConnect, c.key).opFlags = unix.POLLOUT
}

func (u *uring) each(f func(*Conn)) {
	for _, c := range u.conns {
		if c != nil {
			f(c)
		}
	}
}

func (u *uring) receive(c *Conn) {
	s := u.next(opRecv, int(c.fd), kindRecv, c.key)
	s.ioprio = recvPollFirst
	if c.into != nil {
		s.addr, s.length = uint64(uintptr(unsafe.Pointer(&c.into[0]))), uint32(len(c.into))
	} else {
		s.flags, s.bufGroup = sqeBufferSelect, bufferGroup
	}
}

func (u *uring) send(c *Conn) {
	s := u.next(opSend, int(c.fd), kindSend, c.key)
	s.addr, s.length, s.opFlags = uint64(uintptr(unsafe.Pointer(&c.sending[c.taken]))), uint32(len(c.sending)-int(c.taken)), unix.MSG_NOSIGNAL|unix.MSG_WAITALL
}

func (u *uring) cancel(c *Conn) {
	s := u.next(opAsyncCancel, int(c.fd), kindCancel, c.key)
	if c.closed {
		s.opFlags = cancelFD | cancelAll
	} else { // what is being sent goes on
		s.addr = uint64(c.key)<<kindBits | kindRecv
	}
}

func (u *uring) listen(li *Listener) error {
	for key, door := range u.doors {
		if door == nil {
			li.key = uint32(key)
			u.doors[key] = li
			return nil
		}
	}
	li.key = uint32(len(u.doors))
	u.doors = append(u.doors, li)
	return nil
}

func (u *uring) unlisten(li *Listener) { u.doors[li.key] = nil }

// accept waits for one connection, and after each anew: loops that wait take turns
// so. With a wait for many the first loop would be given all.
func (u *uring) accept(li *Listener) {
	s := u.next(opAccept, li.fd, kindAccept, li.key)
	li.size = uint32(unsafe.Sizeof(li.from))
	s.addr, s.off = uint64(uintptr(unsafe.Pointer(&li.from))), uint64(uintptr(unsafe.Pointer(&li.size)))
	s.opFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	if u.hints {
		s.ioprio = acceptPollFirst
	}
}

func (u *uring) deafen(li *Listener) {
	s := u.next(opAsyncCancel, -1, kindDeafen, li.key)
	s.addr = uint64(li.key)<<kindBits | kindAccept
}

// missed is called when there was nothing to cancel: what was to be canceled has
// ended, or was about to be tried, when the kernel has it in no list. Such a try
// may find that another loop has the connection, or that no bytes can be sent
// yet, and wait again; so it is canceled again.
func (u *uring) missed(kind uint64, key uint32) {
	if kind == kindDeafen {
		if li := u.doors[key]; li != nil && li.closed && li.armed {
			u.deafen(li)
		}
		return
	}
	if c := u.conns[key]; c != nil && c.canceled {
		u.cancel(c)
	}
}

// enter submits and, with a wait, waits until there is something.
func (u *uring) enter(wait time.Duration) error {
	atomic.StoreUint32(u.sqTail, u.tail)
	for {
		var n uintptr
		var errno syscall.Errno
		if wait <= 0 {
			n, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), uintptr(u.begun), 0, enterGetEvents, 0, 0)
		} else {
			call := unix.Syscall6
			if wait <= brief {
				call = unix.RawSyscall6
			}
			u.patience = unix.NsecToTimespec(int64(wait))
			u.arg = getEventsArg{ts: uint64(uintptr(unsafe.Pointer(&u.patience)))}
			n, _, errno = call(unix.SYS_IO_URING_ENTER, uintptr(u.fd), uintptr(u.begun), 1, enterGetEvents|enterExtArg, uintptr(unsafe.Pointer(&u.arg)), unsafe.Sizeof(u.arg))
		}
		switch errno {
		case 0:
			u.begun -= uint32(n)
			if u.begun == 0 {
				return nil
			}
		case unix.EINTR, unix.ETIME:
			return nil // of a wait for which nothing was submitted
		case unix.EAGAIN, unix.EBUSY:
			return nil // short of memory, or completions have to be taken first
		default:
			return os.NewSyscallError("io_uring_enter", errno)
		}
	}
}

func (u *uring) turn(wait time.Duration) error {
	if u.fault != nil {
		return u.fault
	}
	if len(u.spilled) > 0 {
		if u.refill(); len(u.spilled) > 0 {
			wait = 0
		}
	}
	head := *u.cqHead
	empty := func() bool { return atomic.LoadUint32(u.cqTail) == head }
	if u.begun > 0 || empty() {
		w := wait
		if !empty() {
			w = 0
		}
		if err := u.enter(min(w, brief)); err != nil {
			return err
		}
		if w > brief && empty() {
			if err := u.enter(w); err != nil {
				return err
			}
		}
		u.l.tick()
	}
	u.reap()
	return nil
}

// reap handles what has happened.
func (u *uring) reap() {
	head := *u.cqHead
	for tail := atomic.LoadUint32(u.cqTail); head != tail; {
		c := u.cqes[head&uint32(len(u.cqes)-1)]
		head++
		atomic.StoreUint32(u.cqHead, head)
		u.completed(c)
	}
}

func (u *uring) completed(c cqe) {
	kind, key := c.userData&(1<<kindBits-1), uint32(c.userData>>kindBits)
	switch kind {
	case kindWake:
		u.awaitWake()
	case kindAccept:
		if c.res < 0 {
			u.doors[key].failed(syscall.Errno(-c.res))
		} else {
			u.doors[key].accepted(int(c.res), !u.hints || c.flags&cqeMore != 0)
		}
	case kindCancel, kindDeafen:
		if c.res < 0 {
			u.missed(kind, key)
		}
	case kindRecv:
		u.received(u.conns[key], c)
	case kindConnect:
		var err error
		if c.res < 0 {
			err = syscall.Errno(-c.res)
		}
		u.conns[key].connected(err)
	case kindSend:
		if c.res < 0 {
			if e := syscall.Errno(-c.res); e == unix.EAGAIN || e == unix.EINTR {
				u.send(u.conns[key])
			} else {
				u.conns[key].sent(0, e)
			}
			return
		}
		u.conns[key].sent(int(c.res), nil)
	}
}

func (u *uring) received(conn *Conn, c cqe) {
	if c.flags&cqeBuffer != 0 {
		id := uint16(c.flags >> cqeBufferShift)
		if c.res > 0 {
			conn.received(u.buffer(id)[:c.res])
			u.giveBack(id)
			return
		}
		u.giveBack(id)
	}
	switch e := syscall.Errno(-c.res); {
	case c.res > 0:
		conn.received(conn.into[:c.res])
	case c.res == 0:
		conn.end(nil)
	case (e == unix.ENOBUFS || e == unix.EAGAIN || e == unix.EINTR) && !conn.over():
		u.receive(conn) // the buffers are back by then
	default:
		conn.end(os.NewSyscallError("recv", e))
	}
}

func (u *uring) close() { u.unmap() }

// unmap gives everything back. Nothing may be going on any more.
func (u *uring) unmap() {
	unix.Close(u.fd)
	for _, m := range [...][]byte{u.rings, u.sqeMem, u.bufMem, u.bufRing} {
		if m != nil {
			unix.Munmap(m)
		}
	}
}
