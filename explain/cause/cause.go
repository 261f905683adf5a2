// Package cause says what keeps a thing from what it should be, from what was
// seen of it. It is pure: evidence goes in as plain structs, causes come out, and
// nothing is asked or changed. Package explain gathers the evidence.
//
// A cause is named only when something shows it: a security group when it
// dropped packets, 127.0.0.1 when a socket listens there, a policy when IAM
// refused. What is only likely is said as such.
//
// Remedies are commands to be run as they stand. A word in capitals is what only
// the reader can know.
package cause

import (
	"fmt"
	"strings"
)

// Cause is one reason, what shows it, and the commands that mend it.
type Cause struct {
	What     string   `json:"what"`
	Evidence []string `json:"evidence,omitempty"`
	Remedy   []string `json:"remedy,omitempty"`
}

// Findings are what is to be said of a thing.
type Findings struct {
	Causes []Cause
	Waits  []string // what work that is under way waits for
	Proof  []string // of what is as it should be
}

// Add puts the findings about a part to those about the whole.
func (f *Findings) Add(part Findings) {
	f.Causes = append(f.Causes, part.Causes...)
	f.Waits = append(f.Waits, part.Waits...)
	f.Proof = append(f.Proof, part.Proof...)
}

// Distinct joins causes that say the same: two tasks stopped by one missing
// route are one cause with the evidence of both.
func Distinct(causes []Cause) []Cause {
	var out []Cause
	at := map[string]int{}
	for _, c := range causes {
		i, ok := at[c.What]
		if !ok {
			at[c.What] = len(out)
			out = append(out, c)
			continue
		}
		out[i].Evidence = union(out[i].Evidence, c.Evidence)
		out[i].Remedy = union(out[i].Remedy, c.Remedy)
	}
	return out
}

func union(a, b []string) []string {
	seen := map[string]bool{}
	out := a[:len(a):len(a)]
	for _, s := range a {
		seen[s] = true
	}
	for _, s := range b {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// seen puts evidence before that of a cause.
func (c Cause) seen(evidence ...string) Cause {
	c.Evidence = append(evidence[:len(evidence):len(evidence)], c.Evidence...)
	return c
}

// because makes a cause of a sentence.
func because(evidence []string, format string, args ...any) Cause {
	return Cause{What: fmt.Sprintf(format, args...), Evidence: evidence}
}

// mend adds a remedy.
func (c Cause) mend(format string, args ...any) Cause {
	c.Remedy = append(c.Remedy[:len(c.Remedy):len(c.Remedy)], fmt.Sprintf(format, args...))
	return c
}

// last is the part of an ARN behind the last slash.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// quote quotes a word for a shell, if it needs it.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " '\"$*?[](){}<>|&;\\`!#~\n") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// plural is "1 task", "2 tasks".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
