package http2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"
)

// Beside the server both sides' windows are kept as RFC 9113 says: it never sends
// beyond them, and in the end everything.
func TestFlowControl(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, s := newPair()
		l.eager = false
		p := newPeer()
		conn, initial := int64(65535), int64(65535)
		windows := map[uint32]int64{}
		want, got := map[uint32]int{}, map[uint32]int{}
		ended := map[uint32]bool{}
		next := uint32(1)
		take := func() {
			f := http2.NewFramer(nil, bytes.NewReader(s.Out))
			for {
				fr, err := f.ReadFrame()
				if err != nil {
					break
				}
				if d, ok := fr.(*http2.DataFrame); ok {
					n := int64(len(d.Data()))
					conn -= n
					windows[d.StreamID] -= n
					got[d.StreamID] += int(n)
					ended[d.StreamID] = ended[d.StreamID] || d.StreamEnded()
					if n > 0 && (conn < 0 || windows[d.StreamID] < 0) {
						t.Fatalf("stream %d sends beyond its windows: %d, %d", d.StreamID, windows[d.StreamID], conn)
					}
				}
			}
			s.Out = s.Out[:0]
		}
		finished := map[uint32]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			var ids []uint32
			for id := range want {
				if !finished[id] {
					ids = append(ids, id)
				}
			}
			switch k := rapid.IntRange(0, 4).Draw(t, "step"); {
			case k == 0 && s.Streams() < 20:
				p.head(next, true)
				windows[next], want[next] = initial, 0
				next += 2
			case k == 1 && len(ids) > 0:
				id := rapid.SampledFrom(ids).Draw(t, "id")
				n := rapid.IntRange(0, 50000).Draw(t, "n")
				finished[id] = rapid.Bool().Draw(t, "end")
				want[id] += n
				l.streams[id].Write(make([]byte, n), finished[id])
			case k == 2:
				n := rapid.Uint32Range(1, 100000).Draw(t, "n")
				conn += int64(n)
				p.f.WriteWindowUpdate(0, n)
			case k == 3 && next > 1:
				id := 2*rapid.Uint32Range(0, next/2-1).Draw(t, "stream") + 1
				n := rapid.Uint32Range(1, 100000).Draw(t, "n")
				windows[id] += int64(n)
				p.f.WriteWindowUpdate(id, n)
			case k == 4:
				v := rapid.Uint32Range(0, 100000).Draw(t, "v")
				for id := range windows {
					windows[id] += int64(v) - initial
				}
				initial = int64(v)
				p.f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: v})
			}
			take()
			if err := s.Receive(p.Bytes()); err != nil {
				t.Fatal(err)
			}
			p.Reset()
			take()
		}
		// With open windows everything goes.
		p.f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
		p.f.WriteWindowUpdate(0, 1<<30)
		for id := range windows {
			windows[id] += 1<<30 - initial
		}
		conn += 1 << 30
		if err := s.Receive(p.Bytes()); err != nil {
			t.Fatal(err)
		}
		take()
		for id, n := range want {
			if got[id] != n || ended[id] != finished[id] {
				t.Fatalf("stream %d: %d of %d bytes, ended %v of %v", id, got[id], n, ended[id], finished[id])
			}
		}
	})
}

// What a client may send comes back to it once it is consumed, whatever became of
// the stream.
func TestClientsWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, s := newPair()
		l.eager = false
		p := newPeer()
		conn, sent := int64(65535), 0
		for i := range rapid.IntRange(1, 40).Draw(t, "streams") {
			id := uint32(2*i + 1)
			p.head(id, false)
			window := int64(streamWindow)
			for range rapid.IntRange(0, 12).Draw(t, "frames") {
				n := rapid.IntRange(0, MaxFrame-10).Draw(t, "n")
				pad := rapid.IntRange(0, 9).Draw(t, "pad")
				if size := int64(n + pad + 1); size <= window && size <= conn {
					window, conn = window-size, conn-size
					sent += int(size)
					p.f.WriteDataPadded(id, false, make([]byte, n), make([]byte, pad))
				}
			}
			if rapid.Bool().Draw(t, "cancelled") {
				p.f.WriteRSTStream(id, http2.ErrCodeCancel)
			}
			if err := s.Receive(p.Bytes()); err != nil {
				t.Fatal(err)
			}
			p.Reset()
			x := l.streams[id]
			if x == nil {
				x = &Stream{c: s, id: id, over: true}
			}
			x.Consumed(l.unread[id])
			f := http2.NewFramer(nil, bytes.NewReader(s.Out))
			for {
				fr, err := f.ReadFrame()
				if err != nil {
					break
				}
				if w, ok := fr.(*http2.WindowUpdateFrame); ok && w.StreamID == 0 {
					conn += int64(w.Increment)
				}
			}
			s.Out = s.Out[:0]
			if x := l.streams[id]; x != nil {
				x.Reset(Cancel)
			}
			if conn > connWindow || conn < connWindow*3/4-1 && i > 0 {
				t.Fatalf("the window is %d after %d bytes", conn, sent)
			}
		}
	})
}
