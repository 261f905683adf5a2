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

// One screen: as wide as this, and so much evidence of a cause, and of one of
// several; the rest is in the JSON.
const (
	screenWidth    = 100
	evidenceShown  = 5
	evidenceShared = 3
)

// printExplanation shows one explanation: what it is about, then each cause with
// what shows it and what mends it.
func printExplanation(w io.Writer, e explain.Explanation) {
	_, name, ok := strings.Cut(e.Name, ":")
	if !ok {
		name = e.Name
	}
	fmt.Fprintln(w, strings.TrimSpace(e.Kind+" "+name))
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
		mark, shown := "because ", evidenceShown
		if len(causes) > 1 {
			mark, shown = fmt.Sprintf("%7d ", i+1), evidenceShared
		}
		wrapped(w, mark, c.What)
		for i, ev := range c.Evidence {
			if i == shown {
				fmt.Fprintf(w, "  seen  … and %d more: minato why -o json\n", len(c.Evidence)-i)
				break
			}
			wrapped(w, "  seen  ", ev)
		}
		for _, r := range c.Remedy {
			printRemedy(w, "  mend  ", r)
		}
	}
}

// wrapped prints a text behind a mark, broken at spaces where it is too long for
// the screen.
func wrapped(w io.Writer, mark, text string) {
	fill(w, mark, strings.Repeat(" ", utf8.RuneCountInString(mark)), "", pieces(text, false))
}

// printRemedy prints what mends a cause. A command's lines end with a backslash,
// so that they can be copied; within quotes a shell takes them as they are.
func printRemedy(w io.Writer, mark, text string) {
	if !strings.HasPrefix(text, "aws ") && !strings.HasPrefix(text, "docker ") && !strings.HasPrefix(text, "minato ") {
		wrapped(w, mark, text)
		return
	}
	fill(w, mark, strings.Repeat(" ", utf8.RuneCountInString(mark)+2), " \\", pieces(text, true))
}

// fill puts pieces into lines; end is behind all but the last.
func fill(w io.Writer, mark, indent, end string, all []piece) {
	line, empty := mark, true
	for _, p := range all {
		space, after := " ", end
		if p.glued {
			space, after = "", ""
		}
		if !empty && utf8.RuneCountInString(line+space+p.text+end) > screenWidth {
			fmt.Fprintln(w, line+after)
			line, empty = indent, true
		}
		if empty {
			space = ""
		}
		line, empty = line+space+p.text, false
	}
	fmt.Fprintln(w, line)
}

// piece is what stays together in a line.
type piece struct {
	text  string
	glued bool // to the piece before it: no space between, and both in quotes
}

// pieces cuts a text into words. In a command what is quoted is one, which may be
// cut behind its commas, and so is the comment at its end.
func pieces(text string, command bool) []piece {
	var out []piece
	if !command {
		for _, word := range strings.Fields(text) {
			out = append(out, piece{text: word})
		}
		return out
	}
	text, comment, _ := strings.Cut(text, " # ")
	quoted, glued, start := false, false, 0
	cut := func(to, next int, nextGlued bool) {
		out = append(out, piece{text[start:to], glued})
		start, glued = next, nextGlued
	}
	for i, r := range text {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == ' ' && !quoted:
			cut(i, i+1, false)
		case r == ',' && quoted:
			cut(i+1, i+1, true)
		}
	}
	cut(len(text), len(text), false)
	if comment != "" {
		out = append(out, piece{text: "# " + comment})
	}
	return out
}
