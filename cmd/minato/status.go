package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"minato/daemon/control"
)

func runStatus(ctx context.Context, c *cli, args []string) error {
	output := c.flags.String("o", "", "json for JSON")
	if err := c.parse(args); err != nil {
		return err
	}
	if *output != "" && *output != "json" {
		return fmt.Errorf("-o takes json: %w", errUsage)
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	s, err := control.NewClient(in).Status(ctx)
	if err != nil {
		return err
	}
	if *output == "json" {
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "endpoint\t%s\n", s.Endpoint)
	fmt.Fprintf(w, "account\t%s in %s\n", s.Account, s.Region)
	fmt.Fprintf(w, "instance\t%s, %s, up since %s\n", s.Instance, s.DataDir, s.Since.Local().Format(time.DateTime))
	for _, p := range s.Processes {
		fmt.Fprintf(w, "process\t%s %d\n", p.Role, p.PID)
	}
	if len(s.Items) > 0 {
		fmt.Fprint(w, "\nKIND\tNAME\tSTATE\tWHERE\tREALLY\n")
	}
	for _, i := range s.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.Kind, i.Name, i.State, i.Where, i.Actual)
	}
	return w.Flush()
}
