// Package shift decides how a deployment takes over the traffic that is not
// rolled but shifted: a new revision (green) comes up beside the old one (blue)
// in a target group of its own, and the weights of listener rules move from one
// to the other. It is a pure function from where a deployment stands to where it
// goes next, one stage at a time:
//
//	RECONCILE_SERVICE               what an interrupted deployment left is gone
//	PRE_SCALE_UP, SCALE_UP,
//	POST_SCALE_UP                   green has all its tasks, and they are healthy
//	TEST_TRAFFIC_SHIFT,
//	POST_TEST_TRAFFIC_SHIFT         the test listener leads to green
//	PRODUCTION_TRAFFIC_SHIFT,       the production listener does: at once
//	POST_PRODUCTION_TRAFFIC_SHIFT   (BLUE_GREEN), in equal steps (LINEAR), or a
//	                                little first and the rest later (CANARY)
//	BAKE_TIME                       both run on; until here the way back is short
//	CLEAN_UP                        blue's tasks go
//
// Until CLEAN_UP a failure, an alarm or StopServiceDeployment gives the listeners
// back to blue, which has kept all its tasks.
package shift

import (
	"math"
	"time"

	ecsapi "minato/aws/api/ecs"
)

// Settle is how long the load balancer is given to follow before anything is
// taken away from the target group that had the traffic. It is real work, and
// not shortened.
const Settle = time.Second

// Plan is how a deployment is to take over, with the waits as they really last.
type Plan struct {
	Strategy string // a DeploymentStrategy other than ROLLING
	Bake     time.Duration
	Percent  float64       // of each step (LINEAR), of the first one (CANARY)
	StepBake time.Duration // after each step but the last
	Test     bool          // there are test listener rules
}

// State is where a deployment stands. It is stored.
type State struct {
	Stage      string // a ServiceDeploymentLifecycleStage
	Since      time.Time
	Production float64 // percent of green
	Test       float64
}

// Seen is what is there.
type Seen struct {
	Leftovers bool // tasks of deployments that are neither blue nor green
	Ready     bool // green's tasks are all there and healthy
	Shifted   bool // the listeners' weights are those of the state
}

// Begin is where every deployment begins.
func Begin(now time.Time) State {
	return State{Stage: ecsapi.ServiceDeploymentLifecycleStageReconcileService, Since: now}
}

// Up tells whether green is to have its tasks.
func (s State) Up() bool {
	return s.Stage != ecsapi.ServiceDeploymentLifecycleStageReconcileService && s.Stage != ecsapi.ServiceDeploymentLifecycleStagePreScaleUp
}

// Over tells whether blue is not needed any more.
func (s State) Over() bool { return s.Stage == ecsapi.ServiceDeploymentLifecycleStageCleanUp }

// Next is where the deployment goes from a state, which may be where it is, and
// when to ask again although nothing changed; zero for never.
func Next(p Plan, s State, seen Seen, now time.Time) (State, time.Time) {
	to := func(stage string) (State, time.Time) {
		s.Stage, s.Since = stage, now
		return s, now
	}
	// held tells whether the listeners have not followed yet, or not for long
	// enough, and until when at least.
	held := func(wait time.Duration) (time.Time, bool) {
		at := s.Since.Add(max(wait, Settle))
		if !seen.Shifted {
			return time.Time{}, true
		}
		return at, now.Before(at)
	}
	switch s.Stage {
	case ecsapi.ServiceDeploymentLifecycleStageReconcileService:
		if seen.Leftovers || !seen.Shifted {
			return s, time.Time{}
		}
		return to(ecsapi.ServiceDeploymentLifecycleStagePreScaleUp)
	case ecsapi.ServiceDeploymentLifecycleStagePreScaleUp:
		return to(ecsapi.ServiceDeploymentLifecycleStageScaleUp)
	case ecsapi.ServiceDeploymentLifecycleStageScaleUp:
		if !seen.Ready {
			return s, time.Time{}
		}
		return to(ecsapi.ServiceDeploymentLifecycleStagePostScaleUp)
	case ecsapi.ServiceDeploymentLifecycleStagePostScaleUp:
		if p.Test {
			s.Test = 100
			return to(ecsapi.ServiceDeploymentLifecycleStageTestTrafficShift)
		}
		return p.shift(s, now)
	case ecsapi.ServiceDeploymentLifecycleStageTestTrafficShift:
		if at, hold := held(0); hold {
			return s, at
		}
		return to(ecsapi.ServiceDeploymentLifecycleStagePostTestTrafficShift)
	case ecsapi.ServiceDeploymentLifecycleStagePostTestTrafficShift:
		return p.shift(s, now)
	case ecsapi.ServiceDeploymentLifecycleStageProductionTrafficShift:
		whole := s.Production >= 100
		wait := p.StepBake
		if whole {
			wait = 0
		}
		if at, hold := held(wait); hold {
			return s, at
		}
		if !whole {
			return p.shift(s, now)
		}
		return to(ecsapi.ServiceDeploymentLifecycleStagePostProductionTrafficShift)
	case ecsapi.ServiceDeploymentLifecycleStagePostProductionTrafficShift:
		return to(ecsapi.ServiceDeploymentLifecycleStageBakeTime)
	case ecsapi.ServiceDeploymentLifecycleStageBakeTime:
		if at := s.Since.Add(p.Bake); now.Before(at) {
			return s, at
		}
		return to(ecsapi.ServiceDeploymentLifecycleStageCleanUp)
	}
	return s, time.Time{}
}

// shift takes the next step of the production traffic.
func (p Plan) shift(s State, now time.Time) (State, time.Time) {
	switch {
	case p.Strategy == ecsapi.DeploymentStrategyLinear:
		s.Production = min(math.Round(10*(s.Production+p.Percent))/10, 100)
	case p.Strategy == ecsapi.DeploymentStrategyCanary && s.Production == 0:
		s.Production = p.Percent
	default:
		s.Production = 100
	}
	s.Stage, s.Since = ecsapi.ServiceDeploymentLifecycleStageProductionTrafficShift, now
	return s, now
}

// maxWeight is the most that a target group can weigh.
const maxWeight = 999

// Weights are those of blue's and green's target group for green's percentage:
// percents where they are whole ones, and finer otherwise.
func Weights(green float64) (blueWeight, greenWeight int32) {
	if green == math.Trunc(green) {
		return int32(100 - green), int32(green)
	}
	w := max(int32(math.Round(green*maxWeight/100)), 1)
	return maxWeight - w, w
}
