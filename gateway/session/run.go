package session

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"
)

const (
	agentVersion  = "3.3.2299.0"           // whose protocol this is
	handshakeTime = 30 * time.Second       // until the client has answered
	sizeTime      = 500 * time.Millisecond // until the client has told its terminal's size
	writeTime     = 30 * time.Second       // until a frame is taken off our hands
	chunk         = 1024                   // of output in a message, as the agent's
	leaveTime     = 2 * time.Second        // until a client that was told has left
	inputAhead    = 64                     // messages of input taken that nobody has read yet
)

// What a client is told of an end that is not the command's.
const (
	idleText     = "Your session timed out due to inactivity."
	shutdownText = "The session was terminated: minato goes down."
)

// errEnded ends a run without a word: its client is gone or wants no more.
var errEnded = errors.New("the client has left")

// closing ends a run and tells the client why.
type closing string

func (c closing) Error() string { return string(c) }

// state is how far a run is.
type state uint8

const (
	shaking  state = iota // waits for the client's answer
	sizing                // waits for the terminal's size
	running               // the command runs
	draining              // it has ended; what it wrote is on its way
)

// run is a session that has met its client. All of it happens in do's loop; the
// goroutines beside it only carry bytes.
type run struct {
	s    *Server
	spec Spec
	conn *websocket.Conn
	ch   *Channel

	state   state
	since   time.Time // of the state, by the clock
	began   time.Time
	used    time.Time // last input or output
	size    Size
	process Process
	frames  chan []byte // of the client
	gone    chan error  // why there are no more
	backlog [][]byte    // input that the process has not read yet
	input   chan []byte // to the process
	output  chan []byte // from it; closed when it has ended
	failed  error       // of waiting for it, set before output is closed
}

func newRun(s *Server, spec Spec, conn *websocket.Conn) *run {
	now := s.opt.Clock.Now()
	return &run{
		s: s, spec: spec, conn: conn, ch: NewChannel(), since: now, began: now, used: now,
		frames: make(chan []byte), gone: make(chan error, 1), input: make(chan []byte), output: make(chan []byte),
	}
}

// do runs the session until its end.
func (r *run) do(ctx context.Context) {
	log := r.s.opt.Log.With("session", r.spec.ID)
	// A read that is broken off breaks the connection, so that reading has its own
	// time: when the daemon ends, the client is told first.
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go r.read(reading)
	// The process ends with the loop, if it has not before.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := r.loop(ctx)
	close(r.input)
	var told closing
	if errors.As(err, &told) {
		r.tell(reading, string(told))
	}
	cancel()
	if r.process != nil {
		for range r.output { // until it was waited for
		}
	}
	log.Info("a session has ended", "cause", err, "process", r.failed, "lasted", r.s.opt.Clock.Now().Sub(r.began).Round(time.Millisecond))
	if r.spec.Transcript != nil {
		if err := r.spec.Transcript.Close(); err != nil {
			log.Warn("the transcript of a session is not complete", "error", err)
		}
	}
}

// read hands the client's frames to the loop.
func (r *run) read(ctx context.Context) {
	for {
		_, b, err := r.conn.Read(ctx)
		if err != nil {
			r.gone <- err
			return
		}
		select {
		case r.frames <- b:
		case <-ctx.Done():
			return
		}
	}
}

// tell ends the channel for the client, and waits a moment for it to close the
// connection: closed by us, it could lose what is still on its way.
func (r *run) tell(ctx context.Context, output string) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	if r.conn.Write(ctx, websocket.MessageBinary, Closed(r.spec.ID, output, r.s.opt.Clock.Now())) != nil {
		return // it is gone
	}
	for {
		select {
		case <-r.frames: // the last acknowledgements
		case <-r.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// loop is the session: it returns why it ended, a closing or another error.
func (r *run) loop(ctx context.Context) error {
	if err := r.send(ctx, PayloadHandshakeRequest, handshakeRequest()); err != nil {
		return err
	}
	tick := time.NewTicker(resendInterval)
	defer tick.Stop()
	for {
		var output <-chan []byte
		if r.state == running && r.ch.Ready() {
			output = r.output
		}
		var input chan<- []byte
		var next []byte
		if len(r.backlog) > 0 && r.state >= running {
			input, next = r.input, r.backlog[0]
		}
		var err error
		select {
		case b := <-r.frames:
			err = r.receive(ctx, b)
		case b, ok := <-output:
			err = r.show(ctx, b, ok)
		case input <- next:
			r.backlog = r.backlog[1:]
		case <-tick.C:
			err = r.look(ctx)
		case err := <-r.gone:
			return fmt.Errorf("%w: %w", errEnded, err)
		case <-ctx.Done():
			return closing(shutdownText)
		}
		if ctx.Err() != nil {
			return closing(shutdownText) // the command's end, or a fault, came of it
		}
		if err != nil {
			return err
		}
		if r.state == draining && r.ch.Unacknowledged() == 0 {
			return closing("")
		}
	}
}

// show sends what the command has written; ok is false when it has ended.
func (r *run) show(ctx context.Context, b []byte, ok bool) error {
	if !ok {
		r.enter(draining)
		return nil
	}
	r.used = r.s.opt.Clock.Now()
	if r.spec.Transcript != nil {
		_, _ = r.spec.Transcript.Write(b) // Close tells what was lost
	}
	return r.send(ctx, PayloadOutput, b)
}

// look does what is due at a time.
func (r *run) look(ctx context.Context) error {
	now := r.s.opt.Clock.Now()
	waited := now.Sub(r.since)
	switch {
	case r.state == shaking && waited > handshakeTime:
		return errors.New("the client does not answer the handshake")
	case r.state == sizing && waited > sizeTime:
		return r.start(ctx)
	case r.state == running && now.Sub(r.used) >= IdleTimeout:
		return closing(idleText)
	}
	frame, err := r.ch.Due(now)
	if err != nil || frame == nil {
		return err
	}
	return r.write(ctx, frame)
}

func (r *run) enter(s state) { r.state, r.since = s, r.s.opt.Clock.Now() }

// receive takes a frame of the client.
func (r *run) receive(ctx context.Context, frame []byte) error {
	in, reply, err := r.ch.Receive(frame, len(r.backlog) < inputAhead, r.s.opt.Clock.Now())
	if err != nil {
		return err
	}
	if reply != nil {
		if err := r.write(ctx, reply); err != nil {
			return err
		}
	}
	for _, m := range in {
		if err := r.take(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// take does what a message of the client says.
func (r *run) take(ctx context.Context, m Message) error {
	switch m.PayloadType {
	case PayloadHandshakeResponse:
		return r.shaken(ctx, m.Payload)
	case PayloadSize:
		return r.resize(ctx, m.Payload)
	case PayloadFlag:
		if len(m.Payload) == 4 && binary.BigEndian.Uint32(m.Payload) == flagTerminate {
			return closing("")
		}
	case PayloadOutput:
		r.used = r.s.opt.Clock.Now()
		r.backlog = append(r.backlog, m.Payload)
	}
	return nil
}

// handshakeRequest asks the client for the kind of session that shells have.
func handshakeRequest() []byte {
	return encode(map[string]any{
		"AgentVersion": agentVersion,
		"RequestedClientActions": []any{map[string]any{
			"ActionType": "SessionType", "ActionParameters": map[string]any{"SessionType": "InteractiveCommands", "Properties": nil},
		}},
	})
}

// actionSucceeded is a ProcessedClientAction's status when it was done.
const actionSucceeded = 1

// shaken takes the client's answer to the handshake.
func (r *run) shaken(ctx context.Context, payload []byte) error {
	if r.state != shaking {
		return nil
	}
	var answer struct {
		ProcessedClientActions []struct {
			ActionType   string
			ActionStatus int
			Error        string
		}
		Errors []string
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return fmt.Errorf("the client's handshake: %w", err)
	}
	for _, a := range answer.ProcessedClientActions {
		if a.ActionStatus != actionSucceeded {
			return closing("Failed to process action " + a.ActionType + ": " + a.Error)
		}
	}
	took := r.s.opt.Clock.Now().Sub(r.began)
	r.enter(sizing)
	return r.send(ctx, PayloadHandshakeComplete, encode(map[string]any{"HandshakeTimeToComplete": took, "CustomerMessage": ""}))
}

// resize takes the size of the client's terminal: the first starts the command.
func (r *run) resize(ctx context.Context, payload []byte) error {
	var size Size
	if json.Unmarshal(payload, &size) != nil || size.Columns == 0 || size.Rows == 0 {
		return nil // no terminal has such a size: the one there is stays
	}
	r.size = size
	switch r.state {
	case sizing:
		return r.start(ctx)
	case running:
		_ = r.process.Resize(ctx, size) // it may just have ended
	}
	return nil
}

// start starts the command.
func (r *run) start(ctx context.Context) error {
	stdin, feed := io.Pipe()
	go func() {
		for b := range r.input {
			// A process that no longer reads its input is not an error.
			_, _ = feed.Write(b)
		}
		feed.Close()
	}()
	p, err := r.spec.Start(ctx, r.size, stdin, &output{ctx, r.output})
	if err != nil {
		stdin.Close()
		return closing(err.Error())
	}
	r.process = p
	r.enter(running)
	r.used = r.since
	go func() {
		r.failed = p.Wait(ctx)
		stdin.Close()
		close(r.output)
	}()
	return nil
}

// output hands a process' output to the loop, which takes no more than the
// client can.
type output struct {
	ctx context.Context
	to  chan<- []byte
}

func (o *output) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += chunk {
		part := append([]byte(nil), b[at:min(at+chunk, len(b))]...)
		select {
		case o.to <- part:
		case <-o.ctx.Done():
			return at, o.ctx.Err()
		}
	}
	return len(b), nil
}

// send sends a message of the output stream.
func (r *run) send(ctx context.Context, t PayloadType, payload []byte) error {
	return r.write(ctx, r.ch.Send(t, payload, r.s.opt.Clock.Now()))
}

func (r *run) write(ctx context.Context, frame []byte) error {
	// A write that is broken off breaks the connection, as a read does.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	if err := r.conn.Write(ctx, websocket.MessageBinary, frame); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return b
}
