package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"minato/daemon/control"
	"minato/explain"
)

func runWhy(ctx context.Context, c *cli, args []string) error {
	output := c.flags.String("o", "", "json for JSON")
	names, err := c.parseMixed(args)
	if err != nil {
		return err
	}
	if len(names) > 1 {
		return fmt.Errorf("why takes one name or ARN: %w", errUsage)
	}
	if *output != "" && *output != "json" {
		return fmt.Errorf("-o takes json: %w", errUsage)
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	found, err := control.NewClient(in).Why(ctx, strings.Join(names, ""))
	if err != nil {
		return err
	}
	if *output == "json" {
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(found)
	}
	for _, e := range found {
		printExplanation(c.stdout, e)
	}
	return nil
}

// One screen: as wide as this, and so much evidence a cause; the rest is in the
// JSON.
const (
	screenWidth   = 100
	evidenceShown = 5
)

// printExplanation shows one explanation: what it is about, then each cause with
// what shows it and what mends it.
func printExplanation(w io.Writer, e explain.Explanation) {
	head := e.Kind
	if e.Subject != "" {
		head += " " + e.Subject
	}
	fmt.Fprintln(w, head)
	if len(e.Causes) != 1 || e.State == explain.InProgress {
		wrapped(w, "", e.Summary)
	}
	for _, p := range e.Proof {
		wrapped(w, "  seen  ", p)
	}
	for _, p := range e.Waits {
		wrapped(w, "  waits ", p)
	}
	printCauses(w, e.Causes)
	if len(e.Refused) > 0 {
		wrapped(w, "", "a call about it was refused lately:")
		printCauses(w, e.Refused)
	}
}

func printCauses(w io.Writer, causes []explain.Cause) {
	for i, c := range causes {
		mark := "because "
		if len(causes) > 1 {
			mark = fmt.Sprintf("%7d ", i+1)
		}
		wrapped(w, mark, c.What)
		for i, ev := range c.Evidence {
			if i == evidenceShown {
				fmt.Fprintf(w, "  seen  … and %d more: minato why -o json\n", len(c.Evidence)-i)
				break
			}
			wrapped(w, "  seen  ", ev)
		}
		for _, r := range c.Remedy {
			wrapped(w, "  mend  ", r)
		}
	}
}

// wrapped prints a text behind a mark, broken at spaces where it is too long for
// the screen. A command's lines end with a backslash, so that they can be copied.
func wrapped(w io.Writer, mark, text string) {
	command := strings.HasPrefix(text, "aws ") || strings.HasPrefix(text, "docker ") || strings.HasPrefix(text, "minato ")
	indent, end := strings.Repeat(" ", utf8.RuneCountInString(mark)), ""
	if command {
		indent, end = indent+"  ", " \\"
	}
	line := mark
	room := screenWidth - len(end)
	empty := true
	for _, word := range split(text, command) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			fmt.Fprintln(w, line+end)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(w, line)
}

// split cuts a text into what stays together: words; in a command, what is quoted,
// and the comment at its end.
func split(text string, command bool) []string {
	if !command {
		return strings.Fields(text)
	}
	var out []string
	quoted, start := false, 0
	text, comment, _ := strings.Cut(text, " # ")
	for i, r := range text {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == ' ' && !quoted:
			out = append(out, text[start:i])
			start = i + 1
		}
	}
	if out = append(out, text[start:]); comment != "" {
		out = append(out, "# "+comment)
	}
	return out
}
