package frame_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"minato/internal/frame"
)

func TestStreams(t *testing.T) {
	var conn bytes.Buffer
	w := frame.NewWriter(&conn)
	big := strings.Repeat("x", 100000)
	if _, err := io.WriteString(w.Stream(1), big); err != nil {
		t.Fatal(err)
	}
	if err := w.SendJSON(2, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Send(3, make([]byte, frame.Max+1)); err == nil {
		t.Error("a frame that nobody would read was sent")
	}
	got := map[frame.Kind]string{}
	for {
		k, b, err := frame.Read(&conn)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[k] += string(b)
	}
	if got[1] != big || got[2] != `{"a":1}` || len(got) != 2 {
		t.Errorf("got %d bytes, %q", len(got[1]), got[2])
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			if _, _, err := frame.Read(r); err != nil {
				return
			}
		}
	})
}
