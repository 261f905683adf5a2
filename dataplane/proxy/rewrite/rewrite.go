// Package rewrite changes host and address of a request before a target gets it: the
// transforms of a rule.
package rewrite

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
)

// What came of a rewrite, in ALB's words.
const (
	Success     = "TransformSuccess"
	InvalidHost = "TransformInvalidHostHeader"
	InvalidPath = "TransformInvalidPath"
)

// Rewrite is a proxy.Rewrite made ready. nil changes nothing.
type Rewrite struct{ host, url *substitution }

// Compile makes a rewrite ready.
func Compile(w *proxy.Rewrite) (*Rewrite, error) {
	if w == nil {
		return nil, nil
	}
	out := &Rewrite{}
	var err error
	if w.Host != nil {
		if out.host, err = compile(*w.Host); err != nil {
			return nil, err
		}
	}
	if w.URL != nil {
		out.url, err = compile(*w.URL)
	}
	return out, err
}

// Do rewrites a request and says what came of it: "" when no pattern matched. A request
// is changed only in case of success.
func (w *Rewrite) Do(r *http1.Request) string {
	host, url := r.Host, r.Path
	if r.HasQuery {
		url = bytes.Join([][]byte{r.Path, r.Query}, []byte{'?'})
	}
	newHost, hostMatched := w.host.do(host)
	newURL, urlMatched := w.url.do(url)
	switch {
	case !hostMatched && !urlMatched:
		return ""
	case len(newHost) == 0 && hostMatched:
		return InvalidHost
	}
	if hostMatched {
		if err := r.SetHost(newHost); err != nil {
			return InvalidHost
		}
	}
	if urlMatched {
		if err := r.SetTarget(newURL); err != nil {
			r.Host = host
			return InvalidPath
		}
	}
	return Success
}

// substitution puts something in the place of what a pattern matches first.
type substitution struct {
	pattern *regexp.Regexp
	parts   []part
}

// part is a piece of the replacement: text, or what a group matched.
type part struct {
	text  string
	group int // 0: the text
}

func compile(s proxy.Substitution) (*substitution, error) {
	pattern, err := proxy.Regexp(s.Regex)
	if err != nil {
		return nil, err
	}
	out := &substitution{pattern: pattern}
	rest := s.Replace
	for {
		i := dollar(rest)
		if i < 0 {
			break
		}
		group, j := 0, i+1
		for ; j < len(rest) && rest[j] >= '0' && rest[j] <= '9' && group <= pattern.NumSubexp(); j++ {
			group = 10*group + int(rest[j]-'0')
		}
		if group < 1 || group > pattern.NumSubexp() {
			return nil, fmt.Errorf("the pattern has no group %s", rest[i:j])
		}
		out.parts = append(out.parts, part{text: rest[:i]}, part{group: group})
		rest = rest[j:]
	}
	out.parts = append(out.parts, part{text: rest})
	return out, nil
}

// dollar is where a group is named; -1 where none is.
func dollar(text string) int {
	for i := 0; ; i++ {
		n := strings.IndexByte(text[i:], '$')
		if n < 0 {
			return -1
		}
		if i += n; i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
			return i
		}
	}
}

// do returns what s becomes, and whether the pattern matches it.
func (s *substitution) do(text []byte) ([]byte, bool) {
	if s == nil {
		return text, false
	}
	at := s.pattern.FindSubmatchIndex(text)
	if at == nil {
		return text, false
	}
	out := append([]byte(nil), text[:at[0]]...)
	for _, p := range s.parts {
		if p.group == 0 {
			out = append(out, p.text...)
		} else if from := at[2*p.group]; from >= 0 {
			out = append(out, text[from:at[2*p.group+1]]...)
		}
	}
	return append(out, text[at[1]:]...), true
}
