package engine

import (
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// tunnel sends c.out, the head of a 101, and then passes bytes both ways until
// both sides have ended, one failed, or both were silent for the idle time.
func (c *client) tunnel(u *targets.Upstream) {
	c.watch.stop()
	c.linger = false
	defer u.Close()
	c.out = append(c.out, u.Unread()...)
	if c.Send(c.out) != nil {
		return
	}
	if p := c.Unread(); len(p) > 0 && u.Send(p) != nil {
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		if !stream.Pass(&c.Stream, &u.Stream) {
			u.Conn.Close()
			c.Conn.Close()
		}
	}()
	if !stream.Pass(&u.Stream, &c.Stream) {
		u.Conn.Close()
		c.Conn.Close()
	}
	<-up
}
