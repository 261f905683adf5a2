// Package http2 is the server's side of HTTP/2 (RFC 9113) as a state machine: bytes
// go in, events and bytes come out. It does no I/O, starts no goroutine and asks no
// clock, so one thread can drive many connections and a test can say exactly what
// follows from which bytes.
//
//	bytes from the client -> Server.Receive -> Handler.Request, Data, Trailers, Reset
//	Stream.Head, Write, Trailers, Reset     -> Server.Out -> bytes to the client
//
// Heads are read with golang.org/x/net/http2/hpack and written by head.go, which
// uses the static table only: it keeps no state and no garbage. Priorities are
// read and ignored; nothing is pushed.
//
// # Flow control
//
// What a client may send is bounded by a window for each stream and one for the
// connection; both open again when the driver has Consumed the bytes, in steps of
// a quarter. What the client's windows do not let out waits in the stream; Queued
// tells how much, so that the driver asks its source for no more, and Handler.Room
// when it has gone.
//
// # Abuse
//
// A head is limited in bytes, in frames and in its decoded size. Requests that are
// cancelled as fast as they are made (CVE-2023-44487), and frames that bring nothing
// (settings, pings, empty data; CVE-2019-9512 ff.), are counted against those that
// bring something; who overdoes it is sent away with ENHANCE_YOUR_CALM. Answers to
// such frames gather in Out: the driver must not Receive while the client does not
// take them.
package http2

import "strconv"

// The limits of a Server.
const (
	MaxStreams   = 128 // requests at once, ALB's number
	MaxFrame     = 16 << 10
	maxBlock     = 64 << 10  // of one head, as it is sent
	maxFragments = 32        // frames of one head
	maxList      = 64 << 10  // of one head, decoded: RFC 9113, 6.5.2
	streamWindow = 128 << 10 // of what clients send
	connWindow   = 1 << 20
	maxResets    = 500   // more cancelled requests than answered ones
	maxIdleChat  = 2_000 // frames that bring nothing, in a row
	maxWindow    = 1<<31 - 1
)

// Preface is what a client begins with, before its first frame.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Code is an error code: RFC 9113, 7.
type Code uint32

// The codes.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

// Error ends a connection. GOAWAY with the code is in Out already.
type Error struct {
	Code Code
	What string
}

// Error implements error.
func (e *Error) Error() string {
	return "http2: " + e.What + " (code " + strconv.Itoa(int(e.Code)) + ")"
}

// Field is a header field; names are in lower case.
type Field struct{ Name, Value string }

// Head is the head of a request. Its strings are the caller's to keep, its Fields
// only until Request returns.
type Head struct {
	Method, Path, Authority, Scheme string
	Fields                          []Field
	Length                          int64 // of the body; -1: not known
	// TooLong: it is longer than what is read; Fields are not complete.
	TooLong bool
}

// Handler is told what a client does.
type Handler interface {
	// Request is called with a request; end tells that it has no body.
	Request(s *Stream, h *Head, end bool)
	// Data is called with a piece of a body, which is valid until it returns. It
	// must be Consumed some time.
	Data(s *Stream, p []byte, end bool)
	// Trailers end a body.
	Trailers(s *Stream, fields []Field)
	// Reset is called when the stream is over before its answer is: the client
	// cancelled it, or broke the rules.
	Reset(s *Stream)
	// Room is called when everything that waited for the client's windows went out.
	Room(s *Stream)
}
