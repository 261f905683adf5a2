package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"minato/daemon/control"
	"minato/explain"
)

func runWhy(ctx context.Context, c *cli, args []string) error {
	output := c.flags.String("o", "", "json for JSON")
	names, err := c.parseMixed(args)
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return fmt.Errorf("why takes one name or ARN: %w", errUsage)
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	found, err := control.NewClient(in).Why(ctx, names[0])
	if err != nil {
		return err
	}
	if *output == "json" {
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(found)
	}
	for i, e := range found {
		if i > 0 {
			fmt.Fprintln(c.stdout)
		}
		printExplanation(c.stdout, e)
	}
	return nil
}

// printExplanation shows one explanation: the subject, then each cause with
// what shows it and what mends it.
func printExplanation(w io.Writer, e explain.Explanation) {
	fmt.Fprintf(w, "%s %s\n", e.Kind, e.Subject)
	if e.Healthy {
		fmt.Fprintf(w, "  %s\n", e.Summary)
		for _, p := range e.Proof {
			fmt.Fprintf(w, "    %s\n", p)
		}
		return
	}
	for i, cause := range e.Causes {
		mark := "because"
		if i > 0 {
			mark = "and because"
		}
		fmt.Fprintf(w, "  %s %s\n", mark, cause.What)
		for _, ev := range cause.Evidence {
			fmt.Fprintf(w, "    seen: %s\n", ev)
		}
		for _, r := range cause.Remedy {
			fmt.Fprintf(w, "    mend: %s\n", r)
		}
	}
}
