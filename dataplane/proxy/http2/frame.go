package http2

import (
	"encoding/binary"
)

const (
	frameHeader = 9

	frameData         = 0x0
	frameHeaders      = 0x1
	framePriority     = 0x2
	frameReset        = 0x3
	frameSettings     = 0x4
	framePush         = 0x5
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindow       = 0x8
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	settingTableSize     = 1
	settingEnablePush    = 2
	settingMaxStreams    = 3
	settingInitialWindow = 4
	settingMaxFrame      = 5
	settingMaxList       = 6
)

func frameLength(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func appendHeader(out []byte, n int, kind, flags byte, stream uint32) []byte {
	return append(out, byte(n>>16), byte(n>>8), byte(n), kind, flags, byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendWindow(out []byte, stream uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(out, 4, frameWindow, 0, stream), uint32(n))
}

// frame deals with one frame.
func (c *Server) frame(f []byte) error {
	kind, flags, id, p := f[3], f[4], binary.BigEndian.Uint32(f[5:])&maxWindow, f[frameHeader:]
	switch {
	case !c.greeted && (kind != frameSettings || flags&flagAck != 0):
		return c.fail(ProtocolError, "the first frame is not settings")
	case c.block.open && (kind != frameContinuation || id != c.block.stream):
		return c.fail(ProtocolError, "a head is interrupted")
	}
	switch kind {
	case frameData:
		return c.data(id, flags, p)
	case frameHeaders:
		return c.headers(id, flags, p)
	case frameContinuation:
		if !c.block.open {
			return c.fail(ProtocolError, "a continuation of nothing")
		}
		return c.fragment(flags, p)
	case framePriority:
		return c.priority(id, p)
	case frameReset:
		return c.cancelled(id, p)
	case frameSettings:
		return c.settings(id, flags, p)
	case framePush:
		return c.fail(ProtocolError, "a client must not push")
	case framePing:
		switch {
		case id != 0:
			return c.fail(ProtocolError, "a ping of a stream")
		case len(p) != 8:
			return c.fail(FrameSizeError, "a ping of another size")
		case flags&flagAck != 0:
			return c.idle()
		}
		c.Out = append(appendHeader(c.Out, 8, framePing, flagAck, 0), p...)
		return c.idle()
	case frameGoAway:
		switch {
		case id != 0:
			return c.fail(ProtocolError, "GOAWAY of a stream")
		case len(p) < 8:
			return c.fail(FrameSizeError, "GOAWAY of another size")
		}
		return c.idle()
	case frameWindow:
		return c.window(id, p)
	}
	return c.idle() // RFC 9113, 5.5: unknown ones are ignored
}

// padding takes it off.
func padding(flags byte, p []byte) ([]byte, bool) {
	if flags&flagPadded == 0 {
		return p, true
	}
	if len(p) == 0 || int(p[0]) > len(p)-1 {
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}

func (c *Server) data(id uint32, flags byte, p []byte) error {
	size := int64(len(p))
	content, ok := padding(flags, p)
	s := c.streams[id]
	switch {
	case id == 0 || id > c.last && !c.late(id):
		return c.fail(ProtocolError, "data of no stream")
	case !ok:
		return c.fail(ProtocolError, "too much padding")
	case size > c.in:
		return c.fail(FlowControlError, "more data than the connection's window")
	}
	if s == nil || s.ended {
		switch {
		case s != nil:
			c.refuse(s, StreamClosed)
		case !c.forgotten(id) && !c.late(id):
			c.resetFrame(id, StreamClosed)
		}
		return c.ignored(size)
	}
	c.in -= size
	if size > s.in {
		c.consume(size)
		c.refuse(s, FlowControlError)
		return nil
	}
	s.in -= size
	end := flags&flagEndStream != 0
	if s.left >= 0 {
		if s.left -= int64(len(content)); s.left < 0 || end && s.left > 0 {
			c.consume(size)
			c.refuse(s, ProtocolError)
			return nil
		}
	}
	if pad := size - int64(len(content)); pad > 0 {
		s.Consumed(int(pad))
	}
	if len(content) == 0 && !end {
		return c.idle()
	}
	c.chat = 0
	s.ended = end
	c.h.Data(s, content, end)
	return nil
}

// ignored is called with data nobody wants.
func (c *Server) ignored(size int64) error {
	c.in -= size
	c.consume(size)
	return c.idle()
}

func (c *Server) headers(id uint32, flags byte, p []byte) error {
	p, ok := padding(flags, p)
	switch {
	case id == 0 || id&1 == 0:
		return c.fail(ProtocolError, "a head of no stream of a client's")
	case !ok:
		return c.fail(ProtocolError, "too much padding")
	}
	if flags&flagPriority != 0 {
		if len(p) < 5 {
			return c.fail(FrameSizeError, "a priority that is cut off")
		}
		if binary.BigEndian.Uint32(p)&maxWindow == id {
			return c.fail(ProtocolError, "a stream that depends on itself")
		}
		p = p[5:]
	}
	c.block.stream, c.block.open, c.block.end, c.block.fragments, c.block.bytes = id, true, flags&flagEndStream != 0, 0, c.block.bytes[:0]
	return c.fragment(flags, p)
}

// fragment takes a piece of a head.
func (c *Server) fragment(flags byte, p []byte) error {
	b := &c.block
	b.fragments++
	if len(b.bytes)+len(p) > maxBlock || b.fragments > maxFragments {
		return c.fail(EnhanceYourCalm, "a head without end")
	}
	if flags&flagEndHeaders == 0 {
		b.bytes = append(b.bytes, p...)
		return nil
	}
	if len(b.bytes) > 0 {
		b.bytes = append(b.bytes, p...)
		p = b.bytes
	}
	c.list, c.listed, c.tooLong, b.open = c.list[:0], 0, false, false
	if _, err := c.dec.Write(p); err != nil {
		return c.fail(CompressionError, err.Error())
	}
	if err := c.dec.Close(); err != nil {
		return c.fail(CompressionError, err.Error())
	}
	err := c.decoded(b.stream, b.end)
	if cap(b.bytes) > MaxFrame {
		b.bytes = nil
	}
	return err
}

// decoded is called with a whole head in list.
func (c *Server) decoded(id uint32, end bool) error {
	if s := c.streams[id]; s != nil {
		return c.trailersOf(s, end)
	}
	if c.late(id) {
		return c.idle() // the client knows that it was not looked at
	}
	if id <= c.last {
		if c.forgotten(id) {
			return c.idle()
		}
		return c.fail(StreamClosed, "a head of a stream that is over")
	}
	c.last = id
	if len(c.streams) >= MaxStreams {
		c.resetFrame(id, RefusedStream)
		return c.churn()
	}
	h := &c.head
	*h = Head{Fields: h.Fields[:0]}
	if why := h.read(c.list); why != "" && !c.tooLong {
		c.resetFrame(id, ProtocolError)
		return c.churn()
	}
	h.TooLong = c.tooLong
	if end && h.Length > 0 && !h.TooLong {
		c.resetFrame(id, ProtocolError)
		return c.churn()
	}
	c.chat = 0
	s := c.stream(id)
	s.ended, s.left = end, h.Length
	if end {
		h.Length = 0
	}
	c.h.Request(s, h, end)
	return nil
}

// late tells whether a stream was begun after GOAWAY said that it would not count.
func (c *Server) late(id uint32) bool { return c.leaving && id > c.final && id&1 == 1 }

func (c *Server) stream(id uint32) *Stream {
	s := &Stream{c: c, id: id, in: streamWindow, out: c.initial}
	c.streams[id] = s
	return s
}

func (c *Server) trailersOf(s *Stream, end bool) error {
	if s.ended {
		return c.fail(StreamClosed, "a head after the end")
	}
	if !end || c.tooLong || s.left > 0 {
		c.refuse(s, ProtocolError)
		return c.churn()
	}
	h := &c.head
	*h = Head{Fields: h.Fields[:0]}
	for i := range c.list {
		f := &c.list[i]
		if f.IsPseudo() || check(f) != "" {
			c.refuse(s, ProtocolError)
			return c.churn()
		}
		h.Fields = append(h.Fields, Field{f.Name, f.Value})
	}
	s.ended = true
	c.h.Trailers(s, h.Fields)
	return nil
}

func (c *Server) priority(id uint32, p []byte) error {
	switch {
	case id == 0:
		return c.fail(ProtocolError, "a priority of no stream")
	case len(p) != 5:
		// Of a stream only, says RFC 9113, 6.3; but one that may never have been.
		return c.fail(FrameSizeError, "a priority of another size")
	case binary.BigEndian.Uint32(p)&maxWindow == id:
		return c.fail(ProtocolError, "a stream that depends on itself")
	}
	return c.idle()
}

func (c *Server) cancelled(id uint32, p []byte) error {
	switch {
	case len(p) != 4:
		return c.fail(FrameSizeError, "a reset of another size")
	case id == 0 || id > c.last && !c.late(id):
		return c.fail(ProtocolError, "a reset of no stream")
	}
	s := c.streams[id]
	if s == nil {
		return c.idle()
	}
	c.drop(s)
	c.h.Reset(s)
	return c.churn()
}

// churn counts a request that came to nothing.
func (c *Server) churn() error {
	if c.resets++; c.resets > maxResets {
		return c.fail(EnhanceYourCalm, "requests that are cancelled as fast as they are made")
	}
	return nil
}

func (c *Server) settings(id uint32, flags byte, p []byte) error {
	switch {
	case id != 0:
		return c.fail(ProtocolError, "settings of a stream")
	case flags&flagAck != 0 && len(p) > 0 || len(p)%6 != 0:
		return c.fail(FrameSizeError, "settings of another size")
	case flags&flagAck != 0:
		return c.idle()
	}
	c.greeted = true
	opened := false
	for ; len(p) > 0; p = p[6:] {
		v := int64(binary.BigEndian.Uint32(p[2:]))
		switch binary.BigEndian.Uint16(p) {
		case settingTableSize:
			c.shrink = true
		case settingEnablePush:
			if v > 1 {
				return c.fail(ProtocolError, "enable_push is neither 0 nor 1")
			}
		case settingInitialWindow:
			if v > maxWindow {
				return c.fail(FlowControlError, "an initial window that is too large")
			}
			for _, s := range c.streams {
				if s.out += v - c.initial; s.out > maxWindow {
					return c.fail(FlowControlError, "a window that is too large")
				}
			}
			c.initial = v
			opened = true
		case settingMaxFrame:
			if v < 16<<10 || v >= 1<<24 {
				return c.fail(ProtocolError, "max_frame_size out of range")
			}
			c.maxFrame = min(int(v), MaxFrame)
		}
	}
	c.Out = appendHeader(c.Out, 0, frameSettings, flagAck, 0)
	if opened {
		c.open()
	}
	return c.idle()
}

func (c *Server) window(id uint32, p []byte) error {
	if len(p) != 4 {
		return c.fail(FrameSizeError, "a window of another size")
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if id == 0 {
		if n == 0 {
			return c.fail(ProtocolError, "a window that opens by nothing")
		}
		if c.out += n; c.out > maxWindow {
			return c.fail(FlowControlError, "a window that is too large")
		}
		c.open()
		return c.idle()
	}
	s := c.streams[id]
	switch {
	case s == nil && id > c.last && !c.late(id):
		return c.fail(ProtocolError, "a window of no stream")
	case s == nil:
	case n == 0:
		c.refuse(s, ProtocolError)
		return c.churn()
	default:
		if s.out += n; s.out > maxWindow {
			c.refuse(s, FlowControlError)
			return c.churn()
		}
		s.flush()
	}
	return c.idle()
}
