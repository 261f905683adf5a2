package engine

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"minato/dataplane/proxy/http1"
)

// The cookies of stickiness, ALB's names. Each comes twice, the second time for
// requests from other sites, which browsers mark.
const (
	targetCookie = "AWSALB"
	groupCookie  = "AWSALBTG"
	appCookie    = "AWSALBAPP-0"
	crossSite    = "CORS"
)

// token is what a cookie says instead of a name: opaque, and the same after a
// restart.
func token(of ...string) string {
	sum := sha512.Sum512([]byte(strings.Join(of, "\x00")))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// cookie finds a cookie of the request.
func (v *visit) cookie(name string) string {
	for i := range v.req.Fields {
		f := &v.req.Fields[i]
		if len(f.Name) != len("cookie") || !http1.Is(f.Name, "cookie") {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			key, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte{'='})
			if string(key) == name {
				return string(value)
			}
		}
	}
	return ""
}

// pick chooses a group of a forward by weight, or the one that the client was
// given before; nil when there is none.
func (v *visit) pick(a *action) *group {
	v.picked = nil
	if a.sticky == 0 {
		return a.pick()
	}
	for _, name := range [...]string{groupCookie, groupCookie + crossSite} {
		if c := v.cookie(name); c != "" {
			for i := range a.forward {
				if a.forward[i].weight > 0 && a.forward[i].group.token == c {
					v.picked = &a.forward[i]
					return v.picked.group
				}
			}
		}
	}
	g := a.pick()
	for i := range a.forward {
		if a.forward[i].group == g {
			v.picked = &a.forward[i]
		}
	}
	return g
}

// choose takes a target for the request, that of its cookie where the group is
// sticky, and counts the request as in flight there; nil when there is none.
func (v *visit) choose(g *group, tried []*target) *target {
	settings := g.settings.Load()
	if settings.Sticky > 0 && len(tried) == 0 {
		names := [...]string{targetCookie, targetCookie + crossSite}
		if settings.AppCookie != "" {
			names = [...]string{appCookie, ""}
		}
		for _, name := range names {
			if c := v.cookie(name); c != "" {
				if t := g.named(v.zone(), c); t != nil {
					t.inflight.Add(1)
					return t
				}
			}
		}
	}
	return g.choose(v.zone(), tried)
}

// cookies are the Set-Cookie values for an answer of a target, whose own cookies
// are those with the names in own.
func (v *visit) cookies(a *action, t *target, own func(name string) bool) []string {
	settings := t.g.settings.Load()
	if a.sticky == 0 && settings.Sticky == 0 {
		return nil
	}
	var all []string
	add := func(name, value string, life time.Duration) {
		c := name + "=" + value + "; Expires=" + time.Now().Add(life).UTC().Format(http.TimeFormat) + "; Path=/"
		all = append(all, c)
		if name == appCookie {
			return
		}
		c = name + crossSite + strings.TrimPrefix(c, name) + "; SameSite=None"
		if v.tls != nil {
			c += "; Secure"
		}
		all = append(all, c)
	}
	if a.sticky > 0 && v.picked != nil {
		add(groupCookie, v.picked.group.token, a.sticky)
	}
	switch {
	case settings.Sticky == 0:
	case settings.AppCookie == "":
		add(targetCookie, t.token, settings.Sticky)
	case own(settings.AppCookie):
		add(appCookie, t.token, settings.Sticky)
	}
	return all
}

// setsCookie reports whether an answer sets a cookie of the name.
func setsCookie(fields []http1.Field, name string) bool {
	for i := range fields {
		f := &fields[i]
		if len(f.Name) == len("set-cookie") && http1.Is(f.Name, "set-cookie") {
			if key, _, ok := bytes.Cut(f.Value, []byte{'='}); ok && string(bytes.TrimSpace(key)) == name {
				return true
			}
		}
	}
	return false
}
