package http2

// ID is the stream's number.
func (s *Stream) ID() uint32 { return s.id }

// Over reports whether nothing more can be sent.
func (s *Stream) Over() bool { return s.over || s.finished }

// Queued is how many bytes wait for the client's windows.
func (s *Stream) Queued() int { return len(s.queue) }

// Head begins the answer: fields is a block of AppendField. end: nothing follows.
// The status may be one of 1xx, after which the head comes again.
func (s *Stream) Head(status int, fields []byte, end bool) {
	if s.over || s.finished {
		return
	}
	c := s.c
	at := len(c.Out)
	c.Out = appendHeader(c.Out, 0, frameHeaders, 0, s.id)
	if c.shrink {
		c.shrink = false
		c.Out = append(c.Out, 0x20) // no table is used: RFC 7541, 4.2
	}
	c.Out = appendStatus(c.Out, status)
	c.Out = append(c.Out, fields...)
	c.split(at, end, s.id)
	s.headed = true
	if end {
		s.finish()
	}
}

// split makes one frame at Out[at:], or several where it is too long for one.
func (c *Server) split(at int, end bool, id uint32) {
	n := len(c.Out) - at - frameHeader
	flags := byte(0)
	if end {
		flags = flagEndStream
	}
	if n <= c.maxFrame {
		appendHeader(c.Out[:at], n, frameHeaders, flags|flagEndHeaders, id)
		return
	}
	block := append([]byte(nil), c.Out[at+frameHeader:]...)
	c.Out = c.Out[:at]
	for kind := byte(frameHeaders); ; kind, flags = frameContinuation, 0 {
		k := min(len(block), c.maxFrame)
		if k == len(block) {
			flags |= flagEndHeaders
		}
		c.Out = append(appendHeader(c.Out, k, kind, flags, id), block[:k]...)
		if block = block[k:]; len(block) == 0 {
			return
		}
	}
}

// Write sends a piece of the answer's body, or queues it. end: nothing follows.
func (s *Stream) Write(p []byte, end bool) {
	if s.over || s.finished || len(p) == 0 && !end {
		return
	}
	s.finished = end
	if len(s.queue) == 0 {
		p = s.send(p)
	}
	s.queue = append(s.queue, p...)
	if end && len(s.queue) == 0 {
		s.finish()
	}
}

// send sends as much of p as the windows let through, with END_STREAM when that is
// all and the last.
func (s *Stream) send(p []byte) []byte {
	c := s.c
	for {
		n := 0
		if len(p) > 0 {
			if n = int(min(int64(len(p)), s.out, c.out, int64(c.maxFrame))); n <= 0 {
				return p
			}
		}
		flags := byte(0)
		if n == len(p) && s.finished && s.trailers == nil {
			flags = flagEndStream
		}
		if n > 0 || flags != 0 {
			c.Out = append(appendHeader(c.Out, n, frameData, flags, s.id), p[:n]...)
		}
		s.out -= int64(n)
		c.out -= int64(n)
		if n > 0 {
			c.chat = 0
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// Trailers end the answer.
func (s *Stream) Trailers(fields []byte) {
	if s.over || s.finished {
		return
	}
	if len(fields) == 0 {
		s.Write(nil, true)
		return
	}
	s.finished = true
	s.trailers = append([]byte{}, fields...)
	if len(s.queue) == 0 {
		s.finish()
	}
}

// flush sends of what is queued, when a window has opened.
func (s *Stream) flush() {
	if len(s.queue) == 0 {
		return
	}
	left := s.send(s.queue)
	if len(left) > 0 {
		s.queue = s.queue[:copy(s.queue, left)]
		return
	}
	s.queue = nil
	if s.finished {
		s.finish()
		return
	}
	s.c.h.Room(s)
}

// open is called when more may be sent to all streams.
func (c *Server) open() {
	for _, s := range c.streams {
		if c.out <= 0 {
			return
		}
		s.flush()
	}
}

// finish ends the stream after everything of the answer is in Out.
func (s *Stream) finish() {
	c := s.c
	s.finished = true
	if s.trailers != nil {
		at := len(c.Out)
		c.Out = append(appendHeader(c.Out, 0, frameHeaders, 0, s.id), s.trailers...)
		c.split(at, true, s.id)
	}
	if !s.ended {
		c.resetFrame(s.id, NoError) // RFC 9113, 8.1: the rest of the request is not wanted
	}
	if c.resets > 0 {
		c.resets--
	}
	c.drop(s)
}

// Reset ends the stream at once.
func (s *Stream) Reset(code Code) {
	if !s.over {
		s.c.resetFrame(s.id, code)
		s.c.drop(s)
	}
}

// Consumed lets the client send as much again. It counts for the connection also
// when the stream is over.
func (s *Stream) Consumed(n int) {
	s.c.consume(int64(n))
	if s.over || s.ended {
		return
	}
	if s.consumed += int64(n); s.consumed >= streamWindow/4 {
		s.c.Out = appendWindow(s.c.Out, s.id, s.consumed)
		s.in += s.consumed
		s.consumed = 0
	}
}

func (c *Server) consume(n int64) {
	if c.consumed += n; c.consumed >= connWindow/4 && c.gone == nil {
		c.Out = appendWindow(c.Out, 0, c.consumed)
		c.in += c.consumed
		c.consumed = 0
	}
}
