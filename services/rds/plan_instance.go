package rds

import (
	"maps"
	"time"
)

// view is an instance with everything that its next step depends on.
type view struct {
	rec      instance
	exists   bool              // the server's data is there
	running  bool              // its process runs
	snapshot string            // a snapshot that is to be made of it, "" for none
	wanted   map[string]string // parameters, with formulas evaluated
	now      time.Time
}

// step is what is to be done next about an instance.
type step string

// The steps. After each the instance is looked at anew.
const (
	stepCreateInterface step = "create-interface"
	stepChangeInterface step = "change-interface"
	stepDeleteInterface step = "delete-interface"
	stepStart           step = "start"
	stepStop            step = "stop"
	stepMaster          step = "set-master-password"
	stepParameters      step = "apply-parameters"
	stepSnapshot        step = "snapshot"
	stepDelete          step = "delete-server"
	stepForget          step = "forget"
	stepTakeOver        step = "take-over-pending-values"
	stepSettle          step = "settle" // write the status that is reached
	stepNone            step = ""
)

// plan is the next step. It is pure.
func plan(v view) step {
	rec := &v.rec
	switch rec.Goal {
	case goalDeleted:
		switch {
		case v.snapshot != "" && v.exists:
			return stepSnapshot
		case v.exists:
			return stepDelete
		case rec.Interface.ID != "":
			return stepDeleteInterface
		}
		return stepForget
	case goalStopped:
		switch {
		case v.snapshot != "" && v.exists:
			return stepSnapshot
		case v.running:
			return stepStop
		case rec.status() != statusStopped:
			return stepSettle
		}
		return stepNone
	}
	switch {
	case rec.Interface.ID == "":
		return stepCreateInterface
	case !rec.interfaceFits():
		return stepChangeInterface
	case rec.waiting() && inWindow(v.now, *rec.PreferredMaintenanceWindow):
		return stepTakeOver
	case v.running && (rec.Reboots != rec.RebootsDone && rec.Made || rec.mustRestart()):
		return stepStop
	case !v.running || !rec.Made:
		return stepStart
	case rec.Master.Verifier != "":
		return stepMaster
	case rec.Applied == nil || rec.AppliedGroup == rec.ParameterGroup && !maps.Equal(rec.Applied, v.wanted):
		return stepParameters
	case v.snapshot != "":
		return stepSnapshot
	case rec.status() != statusAvailable || parameterStatus(v) != *rec.DBParameterGroups[0].ParameterApplyStatus:
		return stepSettle
	}
	return stepNone
}

// parameterStatus is how the instance stands to its parameter group.
func parameterStatus(v view) string {
	rec := &v.rec
	if rec.AppliedGroup != rec.ParameterGroup {
		return "pending-reboot"
	}
	for name := range rec.Started.Parameters {
		if _, still := v.wanted[name]; !still {
			return "pending-reboot" // the default comes back with the next start
		}
	}
	for _, o := range rec.Outcomes {
		if o.Effect == "pending-reboot" {
			return "pending-reboot"
		}
	}
	return "in-sync"
}
