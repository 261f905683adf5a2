package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// Server is the server's end of one connection.
type Server struct {
	// Out is what the client is to be sent; the driver takes it away.
	Out []byte

	h       Handler
	dec     *hpack.Decoder
	list    []hpack.HeaderField // of the head that is being decoded
	listed  int                 // its size
	tooLong bool
	head    Head
	block   block

	held    []byte // an unfinished frame
	preface int    // how much of it has come
	greeted bool   // the client's first settings have come
	streams map[uint32]*Stream
	last    uint32 // the highest stream of the client's
	gone    error  // the connection is over
	leaving bool
	final   uint32     // with leaving: streams above it are ignored
	reset   [16]uint32 // streams that were reset here lately
	resetAt int

	// Windows: of what the client sends, and of what it is sent.
	in, out  int64
	consumed int64
	initial  int64 // of a new stream's out
	maxFrame int   // that the client takes
	shrink   bool  // the client set the size of its table
	chat     int
	resets   int
}

// Stream is one request and its answer.
type Stream struct {
	// Owner is the driver's.
	Owner any

	c        *Server
	id       uint32
	in, out  int64 // windows
	consumed int64
	left     int64 // of a body whose length is known; -1: it is not
	ended    bool  // the client's side
	headed   bool  // the answer's head was sent
	finished bool  // our side, perhaps with bytes that wait
	over     bool
	queue    []byte // waits for the windows
	trailers []byte // a block that follows it
}

// NewServer begins a connection.
func NewServer(h Handler) *Server {
	c := &Server{h: h, streams: map[uint32]*Stream{}, in: connWindow, out: 65535, initial: 65535, maxFrame: MaxFrame}
	c.dec = hpack.NewDecoder(4096, c.field)
	c.dec.SetMaxStringLength(maxList)
	c.Out = appendHeader(c.Out, 24, frameSettings, 0, 0)
	for _, s := range [...]struct {
		id    uint16
		value uint32
	}{{settingMaxStreams, MaxStreams}, {settingInitialWindow, streamWindow}, {settingMaxList, maxList}, {settingEnablePush, 0}} {
		c.Out = binary.BigEndian.AppendUint16(c.Out, s.id)
		c.Out = binary.BigEndian.AppendUint32(c.Out, s.value)
	}
	c.Out = appendWindow(c.Out, 0, connWindow-65535)
	return c
}

// Streams is how many requests are open.
func (c *Server) Streams() int { return len(c.streams) }

// Busy reports whether some answer is not given yet. Others may wait for windows.
func (c *Server) Busy() bool {
	for _, s := range c.streams {
		if !s.finished {
			return true
		}
	}
	return false
}

// Begun reports whether the preface has come.
func (c *Server) Begun() bool { return c.preface == len(Preface) }

// Midway reports whether a frame or a head has come in part.
func (c *Server) Midway() bool { return len(c.held) > 0 || c.block.open }

// Leaving reports whether no further request is taken.
func (c *Server) Leaving() bool { return c.leaving }

// Leave takes no further request; those that are open go on.
func (c *Server) Leave() {
	if c.leaving || c.gone != nil {
		return
	}
	c.leaving, c.final = true, c.last
	c.goAway(NoError)
}

func (c *Server) goAway(code Code) {
	c.Out = appendHeader(c.Out, 8, frameGoAway, 0, 0)
	c.Out = binary.BigEndian.AppendUint32(c.Out, c.last)
	c.Out = binary.BigEndian.AppendUint32(c.Out, uint32(code))
}

// fail ends the connection.
func (c *Server) fail(code Code, what string) error {
	if c.gone == nil {
		c.gone = &Error{code, what}
		c.goAway(code)
	}
	return c.gone
}

// End tells the streams that are open that the connection is over.
func (c *Server) End() {
	if c.gone == nil {
		c.gone = &Error{NoError, "the connection is over"}
	}
	for _, s := range c.streams {
		c.drop(s)
		c.h.Reset(s)
	}
}

// Receive takes bytes from the client. An error ends the connection, after Out is
// sent and End is called.
func (c *Server) Receive(p []byte) error {
	if c.gone != nil {
		return c.gone
	}
	if c.preface < len(Preface) {
		n := min(len(p), len(Preface)-c.preface)
		if string(p[:n]) != Preface[c.preface:c.preface+n] {
			return c.fail(ProtocolError, "no preface")
		}
		c.preface += n
		p = p[n:]
	}
	if len(c.held) > 0 {
		// Only as much as the frame needs is copied to what is held of it.
		for len(p) > 0 && len(c.held) > 0 {
			need := frameHeader
			if len(c.held) >= frameHeader {
				need += frameLength(c.held)
			}
			n := min(need-len(c.held), len(p))
			c.held = append(c.held, p[:n]...)
			p = p[n:]
			if len(c.held) >= frameHeader {
				if frameLength(c.held) > MaxFrame {
					return c.fail(FrameSizeError, "a frame that is too long")
				}
				if len(c.held) == frameHeader+frameLength(c.held) {
					if err := c.frame(c.held); err != nil {
						return err
					}
					c.held = c.held[:0]
				}
			}
		}
	}
	for len(p) >= frameHeader {
		n := frameLength(p)
		if n > MaxFrame {
			return c.fail(FrameSizeError, "a frame that is too long")
		}
		if len(p) < frameHeader+n {
			break
		}
		if err := c.frame(p[:frameHeader+n]); err != nil {
			return err
		}
		p = p[frameHeader+n:]
	}
	c.held = append(c.held, p...)
	if len(c.held) == 0 && cap(c.held) > 1024 {
		c.held = nil
	}
	return nil
}

// idle counts a frame that brings nothing.
func (c *Server) idle() error {
	if c.chat++; c.chat > maxIdleChat {
		return c.fail(EnhanceYourCalm, "many frames that bring nothing")
	}
	return nil
}

// remember notes a stream that was reset here: the client may not know yet.
func (c *Server) remember(id uint32) {
	c.reset[c.resetAt%len(c.reset)] = id
	c.resetAt++
}

func (c *Server) forgotten(id uint32) bool {
	for _, r := range c.reset {
		if r == id {
			return true
		}
	}
	return false
}

// drop takes a stream off the books.
func (c *Server) drop(s *Stream) {
	if !s.over {
		s.over = true
		s.queue, s.trailers = nil, nil
		delete(c.streams, s.id)
	}
}

// refuse resets a stream whose client broke a rule, or may not have it.
func (c *Server) refuse(s *Stream, code Code) {
	c.resetFrame(s.id, code)
	c.drop(s)
	c.h.Reset(s)
}

func (c *Server) resetFrame(id uint32, code Code) {
	c.remember(id)
	c.Out = appendHeader(c.Out, 4, frameReset, 0, id)
	c.Out = binary.BigEndian.AppendUint32(c.Out, uint32(code))
}

// field is called with each decoded field.
func (c *Server) field(f hpack.HeaderField) {
	c.listed += len(f.Name) + len(f.Value) + 32
	if c.listed > maxList {
		c.tooLong = true
		return
	}
	c.list = append(c.list, f)
}
