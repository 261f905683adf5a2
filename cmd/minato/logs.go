package main

import (
	"context"
	"fmt"

	"minato/daemon/control"
)

// logLines is how many lines of each container are shown at first.
const logLines = 100

func runLogs(ctx context.Context, c *cli, args []string) error {
	follow := c.flags.Bool("f", false, "go on with the lines that come")
	lines := c.flags.Int("n", logLines, "how many of the last lines of each container")
	names, err := c.parseMixed(args)
	if err != nil {
		return err
	}
	if len(names) != 1 || *lines < 0 {
		return fmt.Errorf("logs takes one service (CLUSTER/SERVICE) or task: %w", errUsage)
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	return control.NewClient(in).Logs(ctx, names[0], *lines, *follow, c.stdout)
}
