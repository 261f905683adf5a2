package engine

import "io"

// tunnel sends c.out, the head of a 101, and then passes bytes both ways until
// both sides have ended, one failed, or both were silent for the idle time.
func (c *client) tunnel(u *upstream) {
	c.watch.stop()
	c.linger = false
	defer u.close()
	c.out = append(c.out, u.unread()...)
	if c.send(c.out) != nil {
		return
	}
	if p := c.unread(); len(p) > 0 && u.send(p) != nil {
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		if !pass(&c.stream, &u.stream) {
			u.Conn.Close()
			c.Conn.Close()
		}
	}()
	if !pass(&u.stream, &c.stream) {
		u.Conn.Close()
		c.Conn.Close()
	}
	<-up
}

// pass passes bytes from one side to the other until the first ends, and ends
// the second then. It reports false when something failed.
func pass(from, to *stream) bool {
	p := getBuffer()
	defer putBuffer(p)
	for {
		n, err := from.read(p)
		if n > 0 && to.send(p[:n]) != nil {
			return false
		}
		if err != nil {
			half, ok := to.Conn.(interface{ CloseWrite() error })
			return err == io.EOF && ok && half.CloseWrite() == nil
		}
	}
}
