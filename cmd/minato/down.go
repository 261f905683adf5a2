package main

import (
	"context"
	"errors"
	"fmt"

	"minato/daemon"
	"minato/daemon/instance"
)

func runDown(ctx context.Context, c *cli, args []string) error {
	purge := c.flags.Bool("purge", false, "remove the data too, and leave no trace on the host")
	if err := c.parse(args); err != nil {
		return err
	}
	in, err := c.instance()
	if errors.Is(err, instance.ErrNotRunning) {
		fmt.Fprintf(c.stdout, "there is nothing to stop in %s\n", c.dataDir)
		return nil
	}
	if err != nil {
		return err
	}
	if *purge {
		if err := removeClientFiles(in); err != nil {
			fmt.Fprintf(c.stderr, "left: %v\n", err)
		}
	}
	left, err := daemon.Down(ctx, in, *purge)
	for _, l := range left {
		fmt.Fprintf(c.stderr, "left: %s\n", l)
	}
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return exitError{code: exitFailed, msg: "minato is down, but the above could not be removed"}
	}
	if *purge {
		fmt.Fprintln(c.stdout, "minato is down; nothing of it is left")
	} else {
		fmt.Fprintf(c.stdout, "minato is down; its data stays in %s\n", in.DataDir)
	}
	return nil
}
