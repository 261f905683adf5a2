package main

import (
	"context"
	"fmt"
	"os"

	"minato/daemon/control"
	"minato/daemon/shell"
)

func runShell(ctx context.Context, c *cli, args []string) error {
	if err := c.parse(args); err != nil {
		return err
	}
	args = c.flags.Args()
	if len(args) == 0 {
		return fmt.Errorf("shell takes the name of a workspace: %w", errUsage)
	}
	name, command := args[0], args[1:]
	if len(command) > 0 {
		if command[0] != "--" || len(command) == 1 {
			return fmt.Errorf("the command stands after --: %w", errUsage)
		}
		command = command[1:]
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	conn, err := control.NewClient(in).Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	code, err := shell.Run(ctx, conn, name, command, os.Stdin, os.Stdout, os.Stderr)
	if err == nil && code != 0 {
		return exitError{code: code}
	}
	return err
}
