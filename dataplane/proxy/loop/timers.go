package loop

import "container/heap"

// timers are the connections with a deadline, by when they are to be looked at.
// A deadline that moves away, as those of busy connections do all the time,
// moves nothing here: when the time has come, the connection is put back.
type timers []*Conn

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].scheduled < t[j].scheduled }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = int32(i+1), int32(j+1)
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	c := x.(*Conn)
	*t = append(*t, c)
	c.index = int32(len(*t))
}

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	n := len(*t) - 1
	c := (*t)[n]
	(*t)[n] = nil
	*t = (*t)[:n]
	c.index = 0
	return c
}

func (t *timers) schedule(c *Conn, at int64) {
	c.scheduled = at
	if c.index == 0 {
		heap.Push(t, c)
	} else {
		heap.Fix(t, int(c.index)-1)
	}
}

func (t *timers) drop(c *Conn) {
	if c.index > 0 {
		heap.Remove(t, int(c.index)-1)
	}
}

func (t timers) next() (at int64, ok bool) {
	if len(t) == 0 {
		return 0, false
	}
	return t[0].scheduled, true
}

// expire tells the connections whose deadline has passed.
func (l *Loop) expire() {
	for len(l.timers) > 0 && l.timers[0].scheduled <= l.now {
		c := l.timers[0]
		switch {
		case c.deadline == 0:
			heap.Pop(&l.timers)
		case c.deadline > l.now:
			l.timers.schedule(c, c.deadline)
		default:
			heap.Pop(&l.timers)
			c.deadline = 0
			if !c.over() {
				c.h.Expired()
			}
		}
	}
}
