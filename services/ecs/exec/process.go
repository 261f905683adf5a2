package exec

import (
	"context"
	"errors"
	"io"
	"strings"

	"minato/dataplane/container"
	"minato/gateway/session"
)

// Runtime runs the commands: a container.Runtime.
type Runtime interface {
	Exec(ctx context.Context, id string, p container.Process, stdio container.Stdio) (container.Execution, error)
}

// Sessions opens sessions: a session.Server.
type Sessions interface {
	Open(ctx context.Context, spec session.Spec) session.Opened
}

// root is the user that commands run as, whoever the container's own user is: the
// agent's, on AWS.
const root = "0:0"

// firstSize is a terminal's whose client has not told its own.
var firstSize = session.Size{Columns: 80, Rows: 24}

// Starter starts a command in a running container, with a terminal.
func Starter(r Runtime, container_ string, args []string) func(ctx context.Context, size session.Size, stdin io.Reader, stdout io.Writer) (session.Process, error) {
	return func(ctx context.Context, size session.Size, stdin io.Reader, stdout io.Writer) (session.Process, error) {
		if size == (session.Size{}) {
			size = firstSize
		}
		x, err := r.Exec(ctx, container_, container.Process{Args: args, User: root, TTY: true, Width: size.Columns, Height: size.Rows}, container.Stdio{Stdin: stdin, Stdout: stdout})
		if errors.Is(err, container.ErrStart) {
			_, reason, _ := strings.Cut(err.Error(), container.ErrStart.Error()+": ")
			return nil, errors.New(startText(reason))
		}
		if err != nil {
			return nil, errors.New(startText(err.Error()))
		}
		return process{x}, nil
	}
}

// process is an execution as a session sees it: its exit code is told to nobody,
// as on AWS.
type process struct{ x container.Execution }

func (p process) Resize(ctx context.Context, s session.Size) error {
	return p.x.Resize(ctx, s.Columns, s.Rows)
}

func (p process) Wait(ctx context.Context) error {
	_, err := p.x.Wait(ctx)
	return err
}
