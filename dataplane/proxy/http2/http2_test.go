package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// listener answers nothing by itself and writes down what it is told.
type listener struct {
	log     []string
	streams map[uint32]*Stream
	unread  map[uint32]int
	eager   bool // what comes is consumed at once
}

func newPair() (*listener, *Server) {
	l := &listener{streams: map[uint32]*Stream{}, unread: map[uint32]int{}, eager: true}
	return l, NewServer(l)
}

func (l *listener) note(format string, args ...any) {
	l.log = append(l.log, fmt.Sprintf(format, args...))
}

func (l *listener) Request(s *Stream, h *Head, end bool) {
	l.streams[s.ID()] = s
	var fields []string
	for _, f := range h.Fields {
		fields = append(fields, f.Name+"="+f.Value)
	}
	l.note("%d %s %s %s [%s] %d end=%v long=%v", s.ID(), h.Method, h.Authority, h.Path, strings.Join(fields, ","), h.Length, end, h.TooLong)
}

func (l *listener) Data(s *Stream, p []byte, end bool) {
	l.note("%d data %d end=%v", s.ID(), len(p), end)
	if l.eager {
		s.Consumed(len(p))
	} else {
		l.unread[s.ID()] += len(p)
	}
}

func (l *listener) Trailers(s *Stream, fields []Field) { l.note("%d trailers %v", s.ID(), fields) }
func (l *listener) Reset(s *Stream)                    { l.note("%d reset", s.ID()); delete(l.streams, s.ID()) }
func (l *listener) Room(s *Stream)                     { l.note("%d room", s.ID()) }

// peer writes frames as the library makes them, or worse.
type peer struct {
	bytes.Buffer
	f   *http2.Framer
	enc *hpack.Encoder
	hb  bytes.Buffer
}

func newPeer() *peer {
	p := &peer{}
	p.f = http2.NewFramer(&p.Buffer, nil)
	p.f.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.hb)
	p.WriteString(Preface)
	p.f.WriteSettings()
	return p
}

func (p *peer) block(fields ...string) []byte {
	p.hb.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.hb.Bytes())
}

var get = []string{":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"}

func (p *peer) head(id uint32, end bool, more ...string) {
	p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(append(append([]string{}, get...), more...)...), EndStream: end, EndHeaders: true})
}

// said is what the server said, frame by frame, without its greeting.
func said(t testing.TB, c *Server) (all []string) {
	f := http2.NewFramer(nil, bytes.NewReader(c.Out))
	dec := hpack.NewDecoder(4096, nil)
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			return all
		}
		switch fr := fr.(type) {
		case *http2.SettingsFrame:
			if fr.IsAck() {
				all = append(all, "ack")
			}
		case *http2.GoAwayFrame:
			all = append(all, fmt.Sprintf("goaway %d %v", fr.LastStreamID, fr.ErrCode))
		case *http2.RSTStreamFrame:
			all = append(all, fmt.Sprintf("reset %d %v", fr.StreamID, fr.ErrCode))
		case *http2.PingFrame:
			all = append(all, fmt.Sprintf("pong %x", fr.Data))
		case *http2.WindowUpdateFrame:
			if fr.StreamID != 0 || fr.Increment != connWindow-65535 {
				all = append(all, fmt.Sprintf("window %d %d", fr.StreamID, fr.Increment))
			}
		case *http2.HeadersFrame:
			fields, err := dec.DecodeFull(fr.HeaderBlockFragment())
			if err != nil {
				t.Fatal(err)
			}
			s := fmt.Sprintf("head %d", fr.StreamID)
			for _, f := range fields {
				s += " " + f.Name + "=" + f.Value
			}
			all = append(all, fmt.Sprintf("%s end=%v", s, fr.StreamEnded()))
		case *http2.DataFrame:
			all = append(all, fmt.Sprintf("data %d %d end=%v", fr.StreamID, len(fr.Data()), fr.StreamEnded()))
		default:
			all = append(all, fr.Header().String())
		}
	}
}

func TestFromClients(t *testing.T) {
	post := []string{":method", "POST", ":scheme", "https", ":authority", "a", ":path", "/"}
	opened := func(id uint32, fields ...string) func(*peer) {
		return func(p *peer) {
			p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true})
		}
	}
	with := func(more ...string) []string { return append(append([]string{}, post...), more...) }
	const reset1 = "ack; reset 1 PROTOCOL_ERROR"
	for name, c := range map[string]struct {
		do     func(*peer)
		events string
		says   string // after the greeting
	}{
		"a request":           {func(p *peer) { p.head(1, true, "x", "y", "cookie", "a=1", "cookie", "b=2") }, "1 GET a / [x=y,cookie=a=1; b=2] 0 end=true long=false", "ack"},
		"host for :authority": {opened(1, ":method", "GET", ":scheme", "https", ":path", "/", "host", "h"), "1 GET h / [] -1 end=false long=false", "ack"},
		"another host":        {opened(1, with("host", "b")...), "", reset1},
		"CONNECT":             {opened(1, ":method", "CONNECT", ":authority", "a:1"), "1 CONNECT a:1  [] -1 end=false long=false", "ack"},
		"a body with padding and trailers": {func(p *peer) {
			opened(1, with("content-length", "3")...)(p)
			p.f.WriteDataPadded(1, false, []byte("abc"), []byte{0, 0})
			p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block("x-sum", "1"), EndHeaders: true, EndStream: true})
		}, "1 POST a / [content-length=3] 3 end=false long=false; 1 data 3 end=false; 1 trailers [{x-sum 1}]", "ack"},
		"continuations": {func(p *peer) {
			b := p.block(get...)
			p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:2], EndStream: true, Priority: http2.PriorityParam{Weight: 3, StreamDep: 7}, PadLength: 9})
			p.f.WriteContinuation(1, false, b[2:3])
			p.f.WriteContinuation(1, true, b[3:])
		}, "1 GET a / [] 0 end=true long=false", "ack"},
		"a ping":                  {func(p *peer) { p.f.WritePing(false, [8]byte{1}) }, "", "ack; pong 0100000000000000"},
		"an unknown frame":        {func(p *peer) { p.f.WriteRawFrame(0x42, 0xff, 9, []byte("?")) }, "", "ack"},
		"a priority":              {func(p *peer) { p.f.WritePriority(9, http2.PriorityParam{StreamDep: 3}) }, "", "ack"},
		"cancelled":               {func(p *peer) { p.head(1, true); p.f.WriteRSTStream(1, http2.ErrCodeCancel) }, "1 GET a / [] 0 end=true long=false; 1 reset", "ack"},
		"more than its length":    {func(p *peer) { opened(1, with("content-length", "1")...)(p); p.f.WriteData(1, false, []byte("abc")) }, "1 POST a / [content-length=1] 1 end=false long=false; 1 reset", reset1},
		"less than its length":    {func(p *peer) { opened(1, with("content-length", "5")...)(p); p.f.WriteData(1, true, []byte("abc")) }, "1 POST a / [content-length=5] 5 end=false long=false; 1 reset", reset1},
		"a length and no body":    {func(p *peer) { p.head(1, true, "content-length", "3") }, "", reset1},
		"two lengths":             {opened(1, with("content-length", "1", "content-length", "1")...), "", reset1},
		"a signed length":         {opened(1, with("content-length", "+1")...), "", reset1},
		"a capital":               {opened(1, with("X", "y")...), "", reset1},
		"an empty name":           {opened(1, with("", "y")...), "", reset1},
		"a line break":            {opened(1, with("x", "y\r\nz")...), "", reset1},
		"connection":              {opened(1, with("connection", "close")...), "", reset1},
		"te":                      {opened(1, with("te", "gzip")...), "", reset1},
		"te: trailers":            {opened(1, with("te", "trailers")...), "1 POST a / [te=trailers] -1 end=false long=false", "ack"},
		"an unknown pseudo field": {opened(1, with(":x", "y")...), "", reset1},
		"a pseudo field twice":    {opened(1, with(":path", "/b")...), "", reset1},
		"a pseudo field late":     {opened(1, "x", "y", ":method", "GET", ":scheme", "https", ":path", "/"), "", reset1},
		"no path":                 {opened(1, ":method", "GET", ":scheme", "https"), "", reset1},
		"an empty path":           {opened(1, ":method", "GET", ":scheme", "https", ":path", ""), "", reset1},
		"a pseudo field in trailers": {func(p *peer) {
			opened(1, post...)(p)
			p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(":method", "GET"), EndHeaders: true, EndStream: true})
		}, "1 POST a / [] -1 end=false long=false; 1 reset", reset1},
		"trailers that do not end":       {func(p *peer) { opened(1, post...)(p); opened(1, "x", "y")(p) }, "1 POST a / [] -1 end=false long=false; 1 reset", reset1},
		"data after the end":             {func(p *peer) { p.head(1, true); p.f.WriteData(1, false, []byte("a")) }, "1 GET a / [] 0 end=true long=false; 1 reset", "ack; reset 1 STREAM_CLOSED"},
		"a window that opens by nothing": {func(p *peer) { p.head(1, true); p.f.WriteWindowUpdate(1, 0) }, "1 GET a / [] 0 end=true long=false; 1 reset", reset1},
		"a window too large":             {func(p *peer) { p.head(1, true); p.f.WriteWindowUpdate(1, maxWindow) }, "1 GET a / [] 0 end=true long=false; 1 reset", "ack; reset 1 FLOW_CONTROL_ERROR"},

		"a head after the end":        {func(p *peer) { p.head(1, true); p.head(1, true) }, "1 GET a / [] 0 end=true long=false", "ack; goaway 1 STREAM_CLOSED"},
		"an even stream":              {func(p *peer) { p.head(2, true) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"a stream that goes back":     {func(p *peer) { p.head(5, true); p.head(3, true) }, "5 GET a / [] 0 end=true long=false", "ack; goaway 5 STREAM_CLOSED"},
		"data of an idle stream":      {func(p *peer) { p.f.WriteData(1, true, nil) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"data of stream 0":            {func(p *peer) { p.f.WriteRawFrame(0, 0, 0, []byte("x")) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"a reset of an idle stream":   {func(p *peer) { p.f.WriteRSTStream(1, 0) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"a window of an idle stream":  {func(p *peer) { p.f.WriteWindowUpdate(1, 1) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"the connection's by nothing": {func(p *peer) { p.f.WriteWindowUpdate(0, 0) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"the connection's too large":  {func(p *peer) { p.f.WriteWindowUpdate(0, maxWindow) }, "", "ack; goaway 0 FLOW_CONTROL_ERROR"},
		"an initial window too large": {func(p *peer) { p.f.WriteRawFrame(4, 0, 0, []byte{0, 4, 0x80, 0, 0, 0}) }, "", "ack; goaway 0 FLOW_CONTROL_ERROR"},
		"a frame size out of range":   {func(p *peer) { p.f.WriteRawFrame(4, 0, 0, []byte{0, 5, 0, 0, 0, 1}) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"settings cut off":            {func(p *peer) { p.f.WriteRawFrame(4, 0, 0, []byte{0, 5, 0}) }, "", "ack; goaway 0 FRAME_SIZE_ERROR"},
		"an ack with something":       {func(p *peer) { p.f.WriteRawFrame(4, 1, 0, make([]byte, 6)) }, "", "ack; goaway 0 FRAME_SIZE_ERROR"},
		"settings of a stream":        {func(p *peer) { p.f.WriteRawFrame(4, 0, 1, nil) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"a short ping":                {func(p *peer) { p.f.WriteRawFrame(6, 0, 0, []byte{1}) }, "", "ack; goaway 0 FRAME_SIZE_ERROR"},
		"a push":                      {func(p *peer) { p.f.WriteRawFrame(5, 4, 1, make([]byte, 4)) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"a continuation of nothing":   {func(p *peer) { p.f.WriteContinuation(1, true, nil) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"a head interrupted": {func(p *peer) {
			p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get...)})
			p.f.WritePing(false, [8]byte{})
		}, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"more padding than there is room": {func(p *peer) { p.head(1, false); p.f.WriteRawFrame(0, 8, 1, []byte{5, 1}) }, "1 GET a / [] -1 end=false long=false", "ack; goaway 1 PROTOCOL_ERROR"},
		"a stream that depends on itself": {func(p *peer) { p.f.WritePriority(3, http2.PriorityParam{StreamDep: 3}) }, "", "ack; goaway 0 PROTOCOL_ERROR"},
		"what is no block of fields": {func(p *peer) {
			p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true})
		}, "", "ack; goaway 0 COMPRESSION_ERROR"},
		"a frame too long": {func(p *peer) { p.f.WriteRawFrame(0, 0, 1, make([]byte, MaxFrame+1)) }, "", "ack; goaway 0 FRAME_SIZE_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer()
			c.do(p)
			for _, piece := range []int{1, 7, 1 << 20} {
				l, s := newPair()
				for in := p.Bytes(); len(in) > 0; {
					n := min(piece, len(in))
					if s.Receive(in[:n]) != nil {
						break
					}
					in = in[n:]
				}
				if got := strings.Join(l.log, "; "); got != c.events {
					t.Errorf("in pieces of %d: events %q, want %q", piece, got, c.events)
				}
				if got := strings.Join(said(t, s), "; "); got != c.says {
					t.Errorf("in pieces of %d: it says %q, want %q", piece, got, c.says)
				}
			}
		})
	}
}

func TestPreface(t *testing.T) {
	for in, want := range map[string]string{"GET / HTTP/1.1\r\n": "goaway 0 PROTOCOL_ERROR", Preface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678": "goaway 0 PROTOCOL_ERROR"} {
		_, s := newPair()
		var e *Error
		if err := s.Receive([]byte(in)); !errors.As(err, &e) || e.Code != ProtocolError {
			t.Errorf("%q: %v", in, err)
		}
		if got := strings.Join(said(t, s), "; "); got != want {
			t.Errorf("%q: %q", in, got)
		}
		if s.Receive(nil) == nil {
			t.Error("it goes on after an error")
		}
	}
}

func start(t *testing.T) (*listener, *Server, *peer, func()) {
	l, s := newPair()
	p := newPeer()
	send := func() {
		t.Helper()
		if err := s.Receive(p.Bytes()); err != nil {
			t.Fatal(err)
		}
		p.Reset()
	}
	send()
	s.Out = nil
	return l, s, p, send
}

func TestAnswers(t *testing.T) {
	l, s, p, send := start(t)
	p.head(1, true)
	p.head(3, true)
	p.head(5, false)
	p.head(7, true)
	send()
	block := AppendField(AppendField(nil, []byte("Content-Type"), []byte("a/b")), []byte("X-Y"), bytes.Repeat([]byte("z"), 300))
	l.streams[1].Head(200, block, false)
	l.streams[1].Write([]byte("abc"), false)
	l.streams[1].Trailers(AppendField(nil, []byte("X-Sum"), []byte("7")))
	l.streams[3].Head(204, nil, true)
	l.streams[3].Write([]byte("too late"), true)
	l.streams[5].Head(103, nil, false)
	l.streams[5].Head(413, nil, false)
	l.streams[5].Write([]byte("no"), true)
	l.streams[7].Reset(InternalError)
	want := "head 1 :status=200 content-type=a/b x-y=" + strings.Repeat("z", 300) + " end=false; data 1 3 end=false; head 1 x-sum=7 end=true; head 3 :status=204 end=true; " +
		"head 5 :status=103 end=false; head 5 :status=413 end=false; data 5 2 end=true; reset 5 NO_ERROR; reset 7 INTERNAL_ERROR"
	if got := strings.Join(said(t, s), "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.Streams() != 0 {
		t.Errorf("%d streams", s.Streams())
	}
	// What the client still sends to a stream that was reset is nobody's fault.
	s.Out = nil
	p.f.WriteData(5, true, []byte("rest"))
	p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 7, BlockFragment: p.block("x", "y"), EndHeaders: true, EndStream: true})
	send()
	if got := said(t, s); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestWindows(t *testing.T) {
	l, s, p, send := start(t)
	p.f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	p.head(1, true)
	send()
	x := l.streams[1]
	x.Head(200, nil, false)
	x.Write([]byte("0123456789abcdef"), false)
	if x.Queued() != 6 {
		t.Errorf("%d wait", x.Queued())
	}
	x.Write([]byte("gh"), true)
	p.f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4}) // the window is -6 now
	p.f.WriteWindowUpdate(1, 7)
	send()
	p.f.WriteWindowUpdate(1, 100)
	send()
	if got, want := strings.Join(said(t, s), "; "), "ack; head 1 :status=200 end=false; data 1 10 end=false; ack; data 1 1 end=false; data 1 7 end=true"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// The connection's window, which two streams share.
	l, _, p, send = start(t)
	p.f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	p.head(1, true)
	p.head(3, true)
	send()
	l.streams[1].Write(make([]byte, 60000), false)
	l.streams[3].Write(make([]byte, 60000), false)
	if a, b := l.streams[1].Queued(), l.streams[3].Queued(); a != 0 || b != 60000-5535 {
		t.Errorf("%d and %d wait", a, b)
	}
	p.f.WriteWindowUpdate(0, 1<<20)
	send()
	if l.streams[3].Queued() != 0 || l.log[len(l.log)-1] != "3 room" {
		t.Errorf("%v", l.log)
	}
	// What clients send beyond their windows.
	l, s, p, _ = start(t)
	l.eager = false
	p.head(1, false)
	for range streamWindow / MaxFrame {
		p.f.WriteData(1, false, make([]byte, MaxFrame))
	}
	p.f.WriteData(1, false, []byte("x"))
	if err := s.Receive(p.Bytes()); err != nil || l.log[len(l.log)-1] != "1 reset" || !strings.Contains(strings.Join(said(t, s), ";"), "reset 1 FLOW_CONTROL_ERROR") {
		t.Errorf("%v %v", err, l.log)
	}
}

func TestLeaving(t *testing.T) {
	l, s, p, send := start(t)
	p.head(1, true)
	send()
	s.Leave()
	s.Leave()
	p.head(3, false)
	p.f.WriteData(3, true, []byte("x"))
	p.f.WriteWindowUpdate(3, 1)
	p.f.WriteRSTStream(3, http2.ErrCodeCancel)
	send()
	l.streams[1].Head(200, nil, true)
	if got := strings.Join(said(t, s), "; "); got != "goaway 1 NO_ERROR; head 1 :status=200 end=true" || len(l.log) != 1 {
		t.Errorf("%s, %v", got, l.log)
	}
}

func TestAbuse(t *testing.T) {
	for name, do := range map[string]func(p *peer, i int){
		"rapid reset": func(p *peer, i int) {
			p.head(uint32(2*i+1), true)
			p.f.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		},
		"pings":      func(p *peer, _ int) { p.f.WritePing(false, [8]byte{}) },
		"settings":   func(p *peer, _ int) { p.f.WriteSettings() },
		"priorities": func(p *peer, _ int) { p.f.WritePriority(1, http2.PriorityParam{StreamDep: 3}) },
		"empty data": func(p *peer, i int) {
			if i == 0 {
				p.head(1, false)
			}
			p.f.WriteData(1, false, nil)
		},
		"continuations": func(p *peer, i int) {
			if i == 0 {
				p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get...)})
			}
			p.f.WriteContinuation(1, false, nil)
		},
		"malformed requests": func(p *peer, i int) { p.head(uint32(2*i+1), true, "connection", "close") },
		"bad windows":        func(p *peer, i int) { p.head(uint32(2*i+1), true); p.f.WriteWindowUpdate(uint32(2*i+1), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			_, s := newPair()
			p := newPeer()
			for i := range 10 * maxIdleChat {
				do(p, i)
				err := s.Receive(p.Bytes())
				p.Reset()
				s.Out = s.Out[:0]
				if err != nil {
					if e := (*Error)(nil); !errors.As(err, &e) || e.Code != EnhanceYourCalm {
						t.Fatal(err)
					}
					return
				}
			}
			t.Fatal("it goes on for ever")
		})
	}
	// More requests at once than are allowed, and cancelled ones among many that are answered.
	_, s, p, send := start(t)
	for i := range MaxStreams + 1 {
		p.head(uint32(2*i+1), true)
	}
	send()
	if got := said(t, s); s.Streams() != MaxStreams || len(got) != 1 || got[0] != fmt.Sprintf("reset %d REFUSED_STREAM", 2*MaxStreams+1) {
		t.Errorf("%d streams, %q", s.Streams(), got)
	}
	l, _, p, send := start(t)
	for i := range 4 * maxResets {
		id := uint32(2*i + 1)
		p.head(id, true)
		if i%2 == 0 {
			p.f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		send()
		if x := l.streams[id]; x != nil {
			x.Head(200, nil, true)
		}
	}
	// A head that is longer than what is read.
	l, _, p, send = start(t)
	b := p.block(append(append([]string{}, get...), "x", strings.Repeat("a", 3000))...)
	b = append(b, bytes.Repeat([]byte{0x80 | 62}, 40)...) // x again, of the table
	p.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b, EndHeaders: true, EndStream: true})
	send()
	if len(l.log) != 1 || !strings.HasSuffix(l.log[0], "long=true") {
		t.Errorf("%.200s", l.log)
	}
}

// The library's client side takes what the server side writes, also a head that
// needs continuations.
func TestLongHead(t *testing.T) {
	l, s, p, send := start(t)
	p.head(1, true)
	send()
	value := bytes.Repeat([]byte("v"), 15000)
	var block []byte
	for range 4 {
		block = AppendField(block, []byte("x-long"), value)
	}
	l.streams[1].Head(502, block, true)
	f := http2.NewFramer(nil, bytes.NewReader(s.Out))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.MaxHeaderListSize = 1 << 20
	fr, err := f.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	h := fr.(*http2.MetaHeadersFrame)
	if len(h.Fields) != 5 || h.PseudoValue("status") != "502" || !h.StreamEnded() {
		t.Errorf("%v", h)
	}
}

// No bytes make it panic or run over; what it says is always made of frames.
func FuzzServer(f *testing.F) {
	p := newPeer()
	p.head(1, false, "content-length", "3")
	p.f.WriteData(1, true, []byte("abc"))
	p.head(3, true)
	p.f.WriteWindowUpdate(0, 7)
	p.f.WriteRSTStream(3, 8)
	f.Add(p.Bytes()[len(Preface):], 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		l, s := newPair()
		s.Receive([]byte(Preface))
		cut = max(1, cut)
		for len(in) > 0 {
			n := min(cut, len(in))
			err := s.Receive(in[:n])
			in = in[n:]
			for id, x := range l.streams {
				if id%4 == 1 {
					x.Head(200, nil, false)
					x.Write(make([]byte, 20000), true)
				}
			}
			if err != nil {
				s.End()
				break
			}
		}
		if s.Streams() > MaxStreams || len(s.held) > MaxFrame+frameHeader || len(s.block.bytes) > maxBlock || s.in < 0 {
			t.Fatalf("%d streams, %d held, %d of a head, window %d", s.Streams(), len(s.held), len(s.block.bytes), s.in)
		}
		for out := s.Out; len(out) > 0; {
			if len(out) < frameHeader || len(out) < frameHeader+frameLength(out) || binary.BigEndian.Uint32(out[5:])>>31 != 0 {
				t.Fatalf("no frame: %x", out)
			}
			out = out[frameHeader+frameLength(out):]
		}
	})
}
