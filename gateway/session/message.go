package session

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The types of messages.
const (
	TypeInput            = "input_stream_data"  // from the client, numbered
	TypeOutput           = "output_stream_data" // from the server, numbered
	TypeAcknowledge      = "acknowledge"
	TypeChannelClosed    = "channel_closed"
	TypeStartPublication = "start_publication"
	TypePausePublication = "pause_publication"
)

// PayloadType says what a message of a stream holds.
type PayloadType uint32

// The payload types that shells use.
const (
	PayloadOutput            PayloadType = 1 // bytes, in both directions
	PayloadSize              PayloadType = 3 // the terminal's size, JSON
	PayloadHandshakeRequest  PayloadType = 5
	PayloadHandshakeResponse PayloadType = 6
	PayloadHandshakeComplete PayloadType = 7
	PayloadFlag              PayloadType = 10 // four bytes, big endian
)

// flagTerminate is the PayloadFlag by which a client ends a session.
const flagTerminate = 2

// Bounds of a message. The header's own length does not count the four bytes of
// the payload's length behind it.
const (
	headerLength = 116
	minMessage   = headerLength + 4
	// MaxMessage bounds what a client may send; the plugin sends at most 1 KiB of
	// payload.
	MaxMessage = 128 << 10
	typeLength = 32
)

// MessageID is a message's UUID.
type MessageID [16]byte

func newMessageID() MessageID {
	var id MessageID
	rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func (id MessageID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// Message is what both sides send in binary frames. Numbers are big endian; at
// these offsets stand, with their lengths:
//
//	 0  header length 4, always 116     56  flags 8
//	 4  type 32, padded with spaces     64  message id 16, its halves swapped
//	36  schema version 4                80  SHA-256 of the payload 32
//	40  created 8, milliseconds        112  payload type 4
//	48  sequence number 8              116  payload length 4, then the payload
type Message struct {
	Type          string
	SchemaVersion uint32
	Created       time.Time
	Sequence      int64
	Flags         uint64
	ID            MessageID
	PayloadType   PayloadType
	Payload       []byte
}

// Append appends the message as it is sent.
func (m *Message) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, headerLength)
	b = append(b, m.Type...)
	b = append(b, strings.Repeat(" ", max(0, typeLength-len(m.Type)))...)
	b = binary.BigEndian.AppendUint32(b, m.SchemaVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Created.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Sequence))
	b = binary.BigEndian.AppendUint64(b, m.Flags)
	b = append(b, m.ID[8:]...)
	b = append(b, m.ID[:8]...)
	digest := sha256.Sum256(m.Payload)
	b = append(b, digest[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(m.PayloadType))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Payload)))
	return append(b, m.Payload...)
}

// Parse reads a message; its payload is a part of b.
func Parse(b []byte) (Message, error) {
	var m Message
	if len(b) < minMessage {
		return m, fmt.Errorf("a message of %d bytes", len(b))
	}
	header := int(binary.BigEndian.Uint32(b))
	if header < headerLength || header > len(b)-4 {
		return m, fmt.Errorf("a header of %d bytes in a message of %d", header, len(b))
	}
	m.Type = strings.TrimRight(string(b[4:36]), " \x00")
	m.SchemaVersion = binary.BigEndian.Uint32(b[36:])
	m.Created = time.UnixMilli(int64(binary.BigEndian.Uint64(b[40:])))
	m.Sequence = int64(binary.BigEndian.Uint64(b[48:]))
	m.Flags = binary.BigEndian.Uint64(b[56:])
	copy(m.ID[8:], b[64:72])
	copy(m.ID[:8], b[72:80])
	m.PayloadType = PayloadType(binary.BigEndian.Uint32(b[112:]))
	m.Payload = b[header+4:]
	if n := binary.BigEndian.Uint32(b[header:]); uint64(n) != uint64(len(m.Payload)) {
		return m, fmt.Errorf("a payload of %d bytes that says it has %d", len(m.Payload), n)
	}
	if m.Type == "" {
		return m, errors.New("a message without a type")
	}
	if digest := sha256.Sum256(m.Payload); len(m.Payload) > 0 && !bytes.Equal(digest[:], b[80:112]) {
		return m, errors.New("a payload that is not what its digest says")
	}
	return m, nil
}
