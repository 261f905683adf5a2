package loop

import (
	"time"
)

// mend has the loop go on after the kernel's interface failed: with epoll. Of what
// was going on nobody knows how far it came, so all connections have failed. The
// listening sockets have not: connections go on being accepted.
func (l *Loop) mend(cause error) {
	if u, ok := l.p.(*uring); ok {
		u.dead = true
		u.reap()
	}
	for l.Len() > 0 {
		l.p.each(func(c *Conn) { c.sever(cause) })
	}
	for li := range l.listeners {
		if li.armed = false; li.closed {
			li.finish()
		}
	}
	l.p.close()
	for {
		p, err := newEpoll(l)
		if err == nil {
			l.p = p
			break
		}
		time.Sleep(respite) // out of descriptors, or of memory: it passes
	}
	for li := range l.listeners {
		if err := l.p.listen(li); err != nil {
			li.closed = true
			li.a.Broken(err)
			li.finish()
			continue
		}
		li.arm()
	}
	l.ring() // that it was rung before may have been read already
	if l.mended != nil {
		l.mended(cause)
	}
}

// sever ends a connection of which the kernel does not tell any more.
func (c *Conn) sever(cause error) {
	// What the kernel was given may still be in its hands. It stays there.
	if c.into != nil {
		c.l.lose(c.into[:])
	}
	c.l.lose(c.sending)
	c.receiving, c.canceled, c.into, c.sending, c.taken = false, false, nil, nil, 0
	if c.connecting {
		c.connected(cause)
	} else {
		c.fail(cause)
	}
	c.Close()
}

// lose keeps a buffer that must not be used again.
func (l *Loop) lose(b []byte) {
	if b != nil {
		l.lost = append(l.lost, b)
	}
	if cap(b) == BigSize && l.bigOut > 0 {
		l.bigOut--
	}
}
