package session

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// ofPlugin is a message as session-manager-plugin 1.3.0 serializes it: an
// input_stream_data with number 7 and flags 2, of 1700000000123 ms, with the id
// 00112233-4455-6677-8899-aabbccddeeff, which holds "ls" and a return.
const ofPlugin = "00000074696e7075745f73747265616d5f64617461202020202020202020202020202020000000010000018bcfe5687b000000000000000700000000000000028899aabbccddeeff00112233445566771d887ce0f8672e4914d9000e801cd74ecd805dd9366c0bc42dc16adc0197dc2f00000001000000036c730d"

func TestMessageIsThePlugins(t *testing.T) {
	frame, err := hex.DecodeString(ofPlugin)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	if m.Type != TypeInput || m.SchemaVersion != 1 || !m.Created.Equal(now) || m.Sequence != 7 || m.Flags != 2 || m.PayloadType != PayloadOutput || string(m.Payload) != "ls\r" {
		t.Errorf("%+v", m)
	}
	if m.ID.String() != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("id %s", m.ID)
	}
	if again := m.Append(nil); !bytes.Equal(again, frame) {
		t.Errorf("we write it as\n%x", again)
	}
}

func TestParseRefuses(t *testing.T) {
	good := (&Message{Type: TypeInput, Created: now, Payload: []byte("hello")}).Append(nil)
	for what, change := range map[string]func(b []byte) []byte{
		"nothing":            func([]byte) []byte { return nil },
		"a part":             func(b []byte) []byte { return b[:100] },
		"a short header":     func(b []byte) []byte { b[3] = 20; return b },
		"a header beyond it": func(b []byte) []byte { b[0] = 255; return b },
		"a wrong length":     func(b []byte) []byte { b[119]++; return b },
		"a cut payload":      func(b []byte) []byte { return b[:len(b)-1] },
		"another payload":    func(b []byte) []byte { b[len(b)-1]++; return b },
		"a type of spaces":   func(b []byte) []byte { copy(b[4:], strings.Repeat(" ", 32)); return b },
	} {
		if m, err := Parse(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: %+v", what, m)
		}
	}
}

func TestClosed(t *testing.T) {
	m, err := Parse(Closed("ecs-execute-command-1", "why", now))
	if err != nil || m.Type != TypeChannelClosed {
		t.Fatalf("%+v %v", m, err)
	}
	var payload struct{ SessionId, Output, MessageType, CreatedDate string }
	if err := json.Unmarshal(m.Payload, &payload); err != nil || payload.SessionId != "ecs-execute-command-1" || payload.Output != "why" || payload.MessageType != TypeChannelClosed || payload.CreatedDate != "1700000000123" {
		t.Errorf("%s %v", m.Payload, err)
	}
}

// FuzzReceive: no frame of a client breaks a channel, and what is parsed is
// written as it was.
func FuzzReceive(f *testing.F) {
	frame, _ := hex.DecodeString(ofPlugin)
	f.Add(frame, true)
	f.Add(input(0, PayloadSize, `{"cols":80,"rows":24}`), false)
	f.Add(ack(Message{Type: TypeOutput}), true)
	f.Add((&Message{Type: TypePausePublication}).Append(nil), true)
	f.Fuzz(func(t *testing.T, b []byte, room bool) {
		c := NewChannel()
		c.Send(PayloadHandshakeRequest, []byte("{}"), now)
		in, reply, err := c.Receive(b, room, now)
		if err != nil && (in != nil || reply != nil) {
			t.Error("an error and more")
		}
		if reply != nil {
			if m, err := Parse(reply); err != nil || m.Type != TypeAcknowledge {
				t.Errorf("the reply %+v: %v", m, err)
			}
		}
		m, err := Parse(b)
		if err != nil || len(m.Type) > typeLength {
			return
		}
		again, err := Parse(m.Append(nil))
		if err != nil || again.ID != m.ID || again.Sequence != m.Sequence || again.Type != m.Type || !bytes.Equal(again.Payload, m.Payload) {
			t.Errorf("%+v became %+v: %v", m, again, err)
		}
		_, _ = c.Due(now.Add(time.Minute))
	})
}
