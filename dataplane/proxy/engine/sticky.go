package engine

import (
	"time"

	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/targets"
)

// pick chooses a group of a forward by weight, or the one that the client was
// given before; nil when there is none.
func (v *visit) pick(a *action) *targets.Group {
	v.picked = nil
	if a.sticky == 0 {
		return a.pick()
	}
	for _, name := range [...]string{cookie.Group, cookie.Group + cookie.CrossSite} {
		if c := cookie.Find(v.req.Fields, name); c != "" {
			for i := range a.forward {
				if a.forward[i].weight > 0 && a.forward[i].group.Token == c {
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
func (v *visit) choose(g *targets.Group, tried []*targets.Target) *targets.Target {
	settings := g.Settings.Load()
	if settings.Sticky > 0 && len(tried) == 0 {
		names := [...]string{cookie.Target, cookie.Target + cookie.CrossSite}
		if settings.AppCookie != "" {
			names = [...]string{cookie.App, ""}
		}
		for _, name := range names {
			if c := cookie.Find(v.req.Fields, name); c != "" {
				if t := g.Named(v.zone(), c); t != nil {
					t.InFlight.Add(1)
					return t
				}
			}
		}
	}
	return g.Choose(v.zone(), tried)
}

// cookies are the Set-Cookie values for an answer of a target, whose own cookies
// are those with the names in own.
func (v *visit) cookies(a *action, t *targets.Target, own func(name string) bool) []string {
	settings := t.Group.Settings.Load()
	if a.sticky == 0 && settings.Sticky == 0 {
		return nil
	}
	var all []string
	add := func(name, value string, life time.Duration) {
		all = cookie.Append(all, name, value, life, v.tls != nil)
	}
	if a.sticky > 0 && v.picked != nil {
		add(cookie.Group, v.picked.group.Token, a.sticky)
	}
	switch {
	case settings.Sticky == 0:
	case settings.AppCookie == "":
		add(cookie.Target, t.Token, settings.Sticky)
	case own(settings.AppCookie):
		add(cookie.App, t.Token, settings.Sticky)
	}
	return all
}
