package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var now = time.UnixMilli(1700000000123)

// input is a message of the client.
func input(seq int64, t PayloadType, payload string) []byte {
	m := Message{Type: TypeInput, SchemaVersion: 1, Created: now, Sequence: seq, ID: newMessageID(), PayloadType: t, Payload: []byte(payload)}
	return m.Append(nil)
}

// ack is a client's acknowledgement of a message of ours.
func ack(m Message) []byte { return acknowledge(m, now) }

func parsed(t interface{ Fatalf(string, ...any) }, frame []byte) Message {
	m, err := Parse(frame)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return m
}

// TestChannelOverAnyLink: whatever a link loses, doubles and reorders, both sides
// get what the other sent, once and in order.
func TestChannelOverAnyLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewChannel()
		at := now
		var toClient, toServer [][]byte
		// The client: what it has sent and has no acknowledgement of, and what it got.
		want := rapid.IntRange(0, 40).Draw(t, "in")
		offered, unacked := 0, map[int64][]byte{}
		got := map[int64]string{}
		var gotIn []string
		sentOut := 0
		wantOut := rapid.IntRange(0, 40).Draw(t, "out")

		server := func(frame []byte, room bool) {
			in, reply, err := c.Receive(frame, room, at)
			if err != nil {
				t.Fatalf("%v", err)
			}
			for _, m := range in {
				gotIn = append(gotIn, string(m.Payload))
			}
			if reply != nil {
				toClient = append(toClient, reply)
			}
		}
		client := func(frame []byte) {
			m := parsed(t, frame)
			if m.Type == TypeAcknowledge {
				var a acknowledgement
				if err := json.Unmarshal(m.Payload, &a); err != nil || a.Type != TypeInput || !a.Sequential {
					t.Fatalf("acknowledgement %s: %v", m.Payload, err)
				}
				delete(unacked, a.Sequence)
				return
			}
			if was, have := got[m.Sequence]; have && was != string(m.Payload) {
				t.Fatalf("number %d was %q and is %q", m.Sequence, was, m.Payload)
			}
			got[m.Sequence] = string(m.Payload)
			toServer = append(toServer, ack(m))
		}
		// step moves a frame from a queue; it may be lost or doubled and any of the
		// queue may be next.
		step := func(queue *[][]byte, deliver func([]byte), faulty bool) {
			if len(*queue) == 0 {
				return
			}
			i := 0
			if faulty {
				i = rapid.IntRange(0, len(*queue)-1).Draw(t, "which")
			}
			frame := (*queue)[i]
			*queue = append((*queue)[:i:i], (*queue)[i+1:]...)
			if faulty {
				switch rapid.IntRange(0, 5).Draw(t, "fate") {
				case 0:
					return // lost
				case 1:
					deliver(frame)
				}
			}
			deliver(frame)
		}
		turn := func(faulty bool) {
			if offered < want {
				frame := input(int64(offered), PayloadOutput, fmt.Sprint("in ", offered))
				unacked[int64(offered)] = frame
				toServer = append(toServer, frame)
				offered++
			}
			if sentOut < wantOut && c.Ready() {
				toClient = append(toClient, c.Send(PayloadOutput, fmt.Append(nil, "out ", sentOut), at))
				sentOut++
			}
			wait := 2 * maxTimeout
			if faulty {
				wait = time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond
			}
			at = at.Add(wait)
			again, err := c.Due(at)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if again != nil {
				toClient = append(toClient, again)
			}
			for seq := range int64(offered) {
				if f := unacked[seq]; f != nil { // the client sends its first again too
					toServer = append(toServer, f)
					break
				}
			}
			room := !faulty || rapid.Bool().Draw(t, "room")
			for again := true; again; again = !faulty && len(toServer)+len(toClient) > 0 {
				step(&toServer, func(f []byte) { server(f, room) }, faulty)
				step(&toClient, client, faulty)
			}
		}
		for range rapid.IntRange(0, 100).Draw(t, "faulty turns") {
			turn(true)
		}
		for range 1000 { // then the link is good
			turn(false)
			if offered == want && sentOut == wantOut && len(unacked) == 0 && c.Unacknowledged() == 0 {
				break
			}
		}
		if len(gotIn) != want || len(got) != wantOut {
			t.Fatalf("in %d of %d, out %d of %d", len(gotIn), want, len(got), wantOut)
		}
		for i, s := range gotIn {
			if s != fmt.Sprint("in ", i) {
				t.Fatalf("in: %q in place %d", s, i)
			}
		}
		for i := range wantOut {
			if got[int64(i)] != fmt.Sprint("out ", i) {
				t.Fatalf("out: %q in place %d", got[int64(i)], i)
			}
		}
	})
}

func TestChannelWindow(t *testing.T) {
	c := NewChannel()
	var frames [][]byte
	for c.Ready() {
		frames = append(frames, c.Send(PayloadOutput, []byte("x"), now))
	}
	if len(frames) != window || c.Unacknowledged() != window {
		t.Errorf("%d messages are sent without an acknowledgement", len(frames))
	}
	if parsed(t, frames[0]).Flags != 1 || parsed(t, frames[1]).Flags != 0 {
		t.Error("the stream's beginning is not marked")
	}
	if _, _, err := c.Receive(ack(parsed(t, frames[3])), true, now); err != nil || !c.Ready() {
		t.Errorf("an acknowledgement makes no room: %v", err)
	}
	for pause, ready := range map[string]bool{TypePausePublication: false, TypeStartPublication: true} {
		m := Message{Type: pause, Created: now}
		if _, _, err := c.Receive(m.Append(nil), true, now); err != nil || c.Ready() != ready {
			t.Errorf("%s: %v", pause, err)
		}
		_, _, _ = c.Receive((&Message{Type: TypeStartPublication}).Append(nil), true, now)
	}
}

func TestChannelGivesUp(t *testing.T) {
	c := NewChannel()
	frame := c.Send(PayloadOutput, []byte("x"), now)
	if again, err := c.Due(now.Add(firstTimeout)); again != nil || err != nil {
		t.Errorf("sent again at once: %v", err)
	}
	at := now
	for range maxResends {
		at = at.Add(2 * maxTimeout)
		if again, err := c.Due(at); err != nil || !bytes.Equal(again, frame) {
			t.Fatalf("not the same again: %v", err)
		}
	}
	if _, err := c.Due(at.Add(2 * maxTimeout)); !errors.Is(err, ErrUnacknowledged) {
		t.Errorf("not given up: %v", err)
	}
}
