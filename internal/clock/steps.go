package clock

import (
	"sync"
	"time"
)

// aStep is by how much a clock must differ at once to have been set: less is how
// clocks are corrected all the time.
const aStep = time.Second

// steps are the settings of a clock that were seen: from when on it has differed
// by how much from a steady one, which began equal.
type steps struct {
	mu   sync.Mutex
	list []setting
}

type setting struct {
	from   time.Time // steady
	offset time.Duration
}

// see looks whether the clock was set since it was looked at last, and returns
// by how much it differs.
func (s *steps) see(wall, steady time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	offset := wall.Sub(steady)
	last := time.Duration(0)
	if n := len(s.list); n > 0 {
		last = s.list[n-1].offset
	}
	if d := offset - last; d > aStep || d < -aStep {
		s.list = append(s.list, setting{steady, offset})
		return offset
	}
	return last
}

// at is where a moment that the clock showed lies on the clock of now. When it
// has shown it twice, having been set back, the later one is meant.
func (s *steps) at(t, wall, steady time.Time) time.Time {
	offset := s.see(wall, steady)
	s.mu.Lock()
	defer s.mu.Unlock()
	until := steady
	for i := len(s.list); i >= 0; i-- {
		then := setting{} // as it began
		if i > 0 {
			then = s.list[i-1]
		}
		if m := t.Add(-then.offset); !m.Before(then.from) && !m.After(until.Add(aStep)) {
			if m = m.Add(offset); m.Before(wall) {
				return m
			}
			return wall
		}
		until = then.from
	}
	return wall
}
