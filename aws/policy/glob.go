package policy

import (
	"strings"
	"unicode/utf8"
)

// Wildcards inside a compiled pattern; no rune has these values.
const (
	anyRun  rune = -1 // *
	anyRune rune = -2 // ?
)

// glob is a pattern of the policy language: text, the wildcards * and ?, and
// policy variables such as ${aws:username}.
type glob struct {
	exact   string // the whole pattern, when plain
	plain   bool   // neither wildcards nor variables
	all     bool   // the pattern is "*"
	prefix  string // text before the first wildcard, for a quick no
	pattern []rune // with anyRun and anyRune
	parts   []part // when there are variables: pieces in order
	fold    bool   // compare in lower case
}

// part is a run of a pattern, or a variable in it.
type part struct {
	pattern  []rune
	key      string // lower case; "" for a run
	fallback *string
}

// lookup finds the values of a condition key, given in lower case.
type lookup func(key string) ([]string, bool)

// globOptions choose what is special in a pattern.
type globOptions struct {
	wildcards bool // * and ?
	variables bool // ${…}
	fold      bool // ignore case
}

// compileGlob compiles s. Text that only looks like a variable is kept as text.
func compileGlob(s string, o globOptions) glob {
	g := glob{fold: o.fold}
	if o.fold {
		s = foldText(s)
	}
	var run []rune
	var parts []part
	flush := func() {
		if run != nil {
			parts = append(parts, part{pattern: run})
			run = nil
		}
	}
	for i := 0; i < len(s); {
		if o.variables && strings.HasPrefix(s[i:], "${") {
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				name := s[i+2 : i+end]
				i += end + 1
				switch name {
				case "*", "?", "$":
					run = append(run, rune(name[0]))
				default:
					flush()
					parts = append(parts, variable(name))
				}
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '*' && o.wildcards:
			r = anyRun
		case r == '?' && o.wildcards:
			r = anyRune
		}
		run = append(run, r)
	}
	flush()
	for _, p := range parts {
		if p.key != "" {
			g.parts = parts
			return g
		}
	}
	if len(parts) == 1 {
		g.pattern = parts[0].pattern
	}
	g.settle()
	return g
}

// variable parses the inside of ${key} or ${key, 'default'}.
func variable(s string) part {
	key, fallback, found := strings.Cut(s, ",")
	p := part{key: strings.ToLower(strings.TrimSpace(key))}
	if found {
		f := strings.Trim(strings.TrimSpace(fallback), "'")
		p.fallback = &f
	}
	return p
}

// settle fills the shortcuts for a pattern without variables.
func (g *glob) settle() {
	g.all = len(g.pattern) == 1 && g.pattern[0] == anyRun
	i := 0
	for i < len(g.pattern) && g.pattern[i] >= 0 {
		i++
	}
	g.prefix = string(g.pattern[:i])
	if i == len(g.pattern) {
		g.plain, g.exact = true, g.prefix
	}
}

// match reports whether s fits. For a folded pattern s must be folded already.
// A variable without a value fits nothing.
func (g *glob) match(s string, keys lookup) bool {
	switch {
	case g.parts != nil:
		pattern, ok := g.expand(keys)
		return ok && matchRunes(pattern, s)
	case g.all:
		return true
	case g.plain:
		return s == g.exact
	case !strings.HasPrefix(s, g.prefix):
		return false
	}
	return matchRunes(g.pattern, s)
}

// expand puts the values of variables into the pattern, as text: a wildcard in
// a value is none.
func (g *glob) expand(keys lookup) ([]rune, bool) {
	var out []rune
	for _, p := range g.parts {
		if p.key == "" {
			out = append(out, p.pattern...)
			continue
		}
		value := ""
		if values, ok := keys(p.key); ok && len(values) == 1 {
			value = values[0]
		} else if p.fallback != nil {
			value = *p.fallback
		} else {
			return nil, false
		}
		if g.fold {
			value = foldText(value)
		}
		out = append(out, []rune(value)...)
	}
	return out, true
}

// matchRunes matches with one point of return: the last * seen. That is enough
// and keeps the time within len(pattern)*len(s).
func matchRunes(pattern []rune, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case p < len(pattern) && pattern[p] == anyRun:
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == anyRune || pattern[p] == r):
			p++
			i += n
		case star >= 0:
			_, n = utf8.DecodeRuneInString(s[mark:])
			mark += n
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyRun {
		p++
	}
	return p == len(pattern)
}

// foldText folds case. It is ToLower, and not EqualFold's folding, so that a
// pattern and a value meet in one form.
func foldText(s string) string { return strings.ToLower(s) }

// matchAny reports whether one of the patterns fits s.
func matchAny(globs []glob, s string, keys lookup) bool {
	for i := range globs {
		if globs[i].match(s, keys) {
			return true
		}
	}
	return false
}
