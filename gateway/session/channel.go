package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// What the protocol's own agent and plugin use.
const (
	window          = 128                    // messages under way without acknowledgement
	earlyCapacity   = 1024                   // messages kept that came before their turn
	firstTimeout    = 200 * time.Millisecond // until the first round trip was measured
	maxTimeout      = time.Second            // of an acknowledgement
	granularity     = 10 * time.Millisecond  // of the clock that measures round trips
	maxResends      = 3000                   // about five minutes; then the other side is gone
	resendInterval  = 100 * time.Millisecond // how often Due is asked
	firstRoundTrip  = 100 * time.Millisecond // taken for the first guess
	roundTripWeight = 1.0 / 8                // of a new measurement
	variationWeight = 1.0 / 4                // of its distance
	ackFlags        = 3                      // SYN and FIN: not of a stream
)

// ErrUnacknowledged is why a channel is given up.
var ErrUnacknowledged = errors.New("the client does not acknowledge what it is sent")

// Channel numbers, acknowledges, orders and sends again the messages of the two
// streams between a server and its client. It does no input or output: what is
// to be sent is returned. It is not safe for use by several goroutines.
type Channel struct {
	next     int64 // number of the next message out
	unacked  []sent
	paused   bool
	rtt, dev float64 // of round trips, in nanoseconds
	timeout  time.Duration

	expected int64 // number of the next message in
	early    map[int64]Message
}

// sent is a message that was not acknowledged yet.
type sent struct {
	sequence int64
	frame    []byte
	at       time.Time
	resent   int
}

// NewChannel returns a channel on which nothing was sent.
func NewChannel() *Channel {
	return &Channel{rtt: float64(firstRoundTrip), timeout: firstTimeout, early: map[int64]Message{}}
}

// Ready tells whether a message may be sent now: the client has not asked for a
// pause, and not too many messages are under way.
func (c *Channel) Ready() bool { return !c.paused && len(c.unacked) < window }

// Unacknowledged is how many messages the client has not acknowledged.
func (c *Channel) Unacknowledged() int { return len(c.unacked) }

// Send returns the frame of the next message of the output stream.
func (c *Channel) Send(t PayloadType, payload []byte, now time.Time) []byte {
	m := Message{Type: TypeOutput, SchemaVersion: 1, Created: now, Sequence: c.next, ID: newMessageID(), PayloadType: t, Payload: payload}
	if c.next == 0 {
		m.Flags = 1 // the stream begins
	}
	frame := m.Append(make([]byte, 0, minMessage+len(payload)))
	c.unacked = append(c.unacked, sent{sequence: c.next, frame: frame, at: now})
	c.next++
	return frame
}

// Due returns the frame to send again now, nil if there is none.
func (c *Channel) Due(now time.Time) ([]byte, error) {
	if len(c.unacked) == 0 {
		return nil, nil
	}
	first := &c.unacked[0]
	if now.Sub(first.at) <= c.timeout {
		return nil, nil
	}
	if first.resent >= maxResends {
		return nil, ErrUnacknowledged
	}
	first.resent++
	first.at = now
	return first.frame, nil
}

// acknowledgement is the payload of a message that acknowledges another.
type acknowledgement struct {
	Type       string `json:"AcknowledgedMessageType"`
	ID         string `json:"AcknowledgedMessageId"`
	Sequence   int64  `json:"AcknowledgedMessageSequenceNumber"`
	Sequential bool   `json:"IsSequentialMessage"`
}

// Receive takes a frame of the client. It returns the messages of the input
// stream whose turn has come, and the acknowledgement to send, if any. With room
// false no data is taken: what comes is not acknowledged, so that the client
// sends it again.
func (c *Channel) Receive(frame []byte, room bool, now time.Time) (in []Message, reply []byte, err error) {
	m, err := Parse(frame)
	if err != nil {
		return nil, nil, err
	}
	switch m.Type {
	case TypeAcknowledge:
		return nil, nil, c.acknowledged(m.Payload, now)
	case TypeStartPublication:
		c.paused = false
	case TypePausePublication:
		c.paused = true
	case TypeInput:
		in, reply = c.receive(m, room, now)
	}
	return in, reply, nil
}

func (c *Channel) acknowledged(payload []byte, now time.Time) error {
	var a acknowledgement
	if err := json.Unmarshal(payload, &a); err != nil {
		return fmt.Errorf("an acknowledgement: %w", err)
	}
	for i, s := range c.unacked {
		if s.sequence != a.Sequence {
			continue
		}
		if s.resent == 0 { // else it is not known which of them is meant
			c.measure(now.Sub(s.at))
		}
		c.unacked = append(c.unacked[:i:i], c.unacked[i+1:]...)
		break
	}
	return nil
}

// measure takes a round trip into the time-out, as TCP does.
func (c *Channel) measure(d time.Duration) {
	rtt := float64(max(d, 0))
	c.dev = (1-variationWeight)*c.dev + variationWeight*math.Abs(c.rtt-rtt)
	c.rtt = (1-roundTripWeight)*c.rtt + roundTripWeight*rtt
	c.timeout = min(time.Duration(c.rtt+max(float64(granularity), 4*c.dev)), maxTimeout)
}

// receive takes a message of the input stream.
func (c *Channel) receive(m Message, room bool, now time.Time) ([]Message, []byte) {
	switch {
	case m.Sequence < c.expected:
		return nil, acknowledge(m, now) // had it; the acknowledgement was lost
	case !room && m.PayloadType == PayloadOutput:
		return nil, nil
	case m.Sequence > c.expected:
		if _, have := c.early[m.Sequence]; !have && len(c.early) >= earlyCapacity {
			return nil, nil
		}
		c.early[m.Sequence] = m
		return nil, acknowledge(m, now)
	}
	reply := acknowledge(m, now)
	var in []Message
	for ok := true; ok; m, ok = c.early[c.expected] {
		delete(c.early, c.expected)
		in = append(in, m)
		c.expected++
	}
	return in, reply
}

func acknowledge(m Message, now time.Time) []byte {
	payload, err := json.Marshal(acknowledgement{m.Type, m.ID.String(), m.Sequence, true})
	if err != nil {
		panic(err) // strings and numbers
	}
	a := Message{Type: TypeAcknowledge, SchemaVersion: 1, Created: now, Flags: ackFlags, ID: newMessageID(), Payload: payload}
	return a.Append(nil)
}

// Closed returns the frame that ends a session for its client: output is what it
// is told, "" for a plain end.
func Closed(id, output string, now time.Time) []byte {
	m := Message{Type: TypeChannelClosed, SchemaVersion: 1, Created: now, ID: newMessageID()}
	payload, err := json.Marshal(struct {
		MessageID     string `json:"MessageId"`
		Created       string `json:"CreatedDate"`
		Destination   string `json:"DestinationId"`
		Session       string `json:"SessionId"`
		Type          string `json:"MessageType"`
		SchemaVersion int    `json:"SchemaVersion"`
		Output        string `json:"Output"`
	}{m.ID.String(), fmt.Sprint(now.UnixMilli()), id, id, TypeChannelClosed, 1, output})
	if err != nil {
		panic(err) // strings and numbers
	}
	m.Payload = payload
	return m.Append(nil)
}
