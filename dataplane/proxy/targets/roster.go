package targets

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"minato/dataplane/proxy"
)

// roster is who gets requests, in one zone or in all.
type roster struct {
	targets []*Target
	ramping bool // some of them are in slow start
}

// rosters are those of a group. They never change.
type rosters struct {
	everywhere *roster
	zones      map[string]*roster // nil: requests cross zones
}

var nobody = &roster{}

func (r *rosters) of(zone string) *roster {
	if r.zones == nil {
		return r.everywhere
	}
	if own := r.zones[zone]; own != nil {
		return own
	}
	if r.everywhere != nil { // targets outside the zones serve them all
		return r.everywhere
	}
	return nobody
}

// refresh finds anew who gets requests. g.mu is held.
func (g *Group) refresh() {
	settings := g.Settings.Load()
	var usable []*Target
	for _, t := range g.targets {
		if !t.draining {
			usable = append(usable, t)
		}
	}
	if !settings.ZoneOnly {
		g.eligible.Store(&rosters{everywhere: enroll(usable, settings)})
		return
	}
	by, outside := map[string][]*Target{}, []*Target(nil)
	for _, t := range usable {
		if t.zone == "" {
			outside = append(outside, t)
		} else {
			by[t.zone] = append(by[t.zone], t)
		}
	}
	r := &rosters{zones: map[string]*roster{}}
	for zone, list := range by {
		r.zones[zone] = enroll(append(list, outside...), settings)
	}
	if len(outside) > 0 {
		r.everywhere = enroll(outside, settings)
	}
	g.eligible.Store(r)
}

// enroll picks the healthy among the targets; all, where too few are (fail open).
func enroll(usable []*Target, settings *proxy.TargetGroup) *roster {
	var healthy []*Target
	ramping := false
	for _, t := range usable {
		if t.track.State() == proxy.Healthy {
			healthy = append(healthy, t)
			ramping = ramping || settings.SlowStart > 0 && t.ramp.Load() != 0
		}
	}
	if len(healthy) < max(settings.MinHealthyCount, 1) || len(healthy)*100 < settings.MinHealthyPercent*len(usable) {
		return &roster{targets: usable}
	}
	return &roster{targets: healthy, ramping: ramping}
}

// settled reports whether a target other than t has its full share: only then t
// has to begin slowly. g.mu is held.
func (g *Group) settled(t *Target) bool {
	return slices.ContainsFunc(g.targets, func(o *Target) bool {
		return o != t && !o.draining && o.track.State() == proxy.Healthy && g.share(o, g.env.Clock.Now()) >= 1
	})
}

// share is how much of its full share a target gets now.
func (g *Group) share(t *Target, now time.Time) float64 {
	since := t.ramp.Load()
	if since == 0 {
		return 1
	}
	whole := g.env.Clock.Paced(g.Settings.Load().SlowStart)
	passed := time.Duration(now.UnixNano() - since)
	if passed >= whole {
		t.ramp.CompareAndSwap(since, 0)
		return 1
	}
	return max(float64(passed)/float64(whole), 0.01)
}

// Named finds the target with the token among those that get requests.
func (g *Group) Named(zone, token string) *Target {
	for _, t := range g.eligible.Load().of(zone).targets {
		if t.Token == token {
			return t
		}
	}
	return nil
}

// Choose takes a target for a request, one that is not among tried, and counts
// the request as in flight there; nil when there is none.
func (g *Group) Choose(zone string, tried []*Target) *Target {
	r := g.eligible.Load().of(zone)
	n := uint32(len(r.targets))
	if n == 0 {
		return nil
	}
	least := g.Settings.Load().Algorithm == proxy.LeastOutstanding
	if r.ramping && !least {
		if t := g.chooseSlowly(r, tried); t != nil {
			t.InFlight.Add(1)
			return t
		}
	}
	var best *Target
	start := g.next.Add(1)
	for i := range n {
		t := r.targets[(start+i)%n]
		if len(tried) > 0 && slices.Contains(tried, t) {
			continue
		}
		if best == nil || t.InFlight.Load() < best.InFlight.Load() {
			best = t
		}
		if !least {
			break
		}
	}
	if best != nil {
		best.InFlight.Add(1)
	}
	return best
}

// Flow takes the target for what is called from: the one that fits best, which
// keeps its flows when others come and go. It counts as Choose does.
func (g *Group) Flow(zone, from string) *Target {
	var best *Target
	var most uint64
	for _, t := range g.eligible.Load().of(zone).targets {
		sum := sha256.Sum256([]byte(t.Token + from))
		if n := binary.BigEndian.Uint64(sum[:8]); best == nil || n > most {
			best, most = t, n
		}
	}
	if best != nil {
		best.InFlight.Add(1)
	}
	return best
}

// chooseSlowly draws lots, weighted by what share each target gets now.
func (g *Group) chooseSlowly(r *roster, tried []*Target) *Target {
	now := g.env.Clock.Now()
	total, full := 0.0, true
	for _, t := range r.targets {
		s := g.share(t, now)
		total += s
		full = full && s >= 1
	}
	if full {
		g.mu.Lock()
		g.refresh()
		g.mu.Unlock()
		return nil
	}
	lot := rand.Float64() * total
	for _, t := range r.targets {
		if lot -= g.share(t, now); lot < 0 && !slices.Contains(tried, t) {
			return t
		}
	}
	return nil
}
