package rds

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/dataplane/database"
	"minato/store"
)

var storeAll = store.Page{}

// farWindow is a maintenance window that is days away.
func farWindow(now time.Time) string {
	day := weekdays[(int(now.UTC().Weekday())+3)%7]
	return day + ":04:00-" + day + ":04:30"
}

// settled is an instance to which nothing is to be done.
func settled() view {
	start := started{Class: "db.t3.micro", Version: "8.0.43", Port: 3306, Parameters: map[string]string{}}
	return view{
		exists: true, running: true, wanted: map[string]string{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		rec: instance{
			Goal: goalRunning, Made: true, Port: 3306, Groups: []string{"sg-1"}, Interface: observedInterface{ID: "eni-1", Groups: []string{"sg-1"}},
			ParameterGroup: "g", AppliedGroup: "g", Applied: map[string]string{}, Started: start,
			DBInstance: rdsapi.DBInstance{
				DBInstanceIdentifier: aws.Ptr("db"), DBInstanceStatus: aws.Ptr(statusAvailable), DBInstanceClass: aws.Ptr(start.Class), EngineVersion: aws.Ptr(start.Version),
				PubliclyAccessible: aws.Ptr(false), PreferredMaintenanceWindow: aws.Ptr("sun:04:00-sun:04:30"), PendingModifiedValues: &rdsapi.PendingModifiedValues{},
				DBParameterGroups: []rdsapi.DBParameterGroupStatus{{ParameterApplyStatus: aws.Ptr("in-sync")}},
			},
		},
	}
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(v *view)
		want   step
	}{
		{"nothing to do", func(*view) {}, stepNone},
		{"no interface yet", func(v *view) { v.rec.Interface = observedInterface{} }, stepCreateInterface},
		{"other groups", func(v *view) { v.rec.Groups = []string{"sg-2"} }, stepChangeInterface},
		{"to be public", func(v *view) { v.rec.PubliclyAccessible = aws.Ptr(true) }, stepChangeInterface},
		{"not running", func(v *view) { v.running = false }, stepStart},
		{"running, but never answered", func(v *view) { v.rec.Made = false }, stepStart},
		{"to be rebooted", func(v *view) { v.rec.Reboots = 1 }, stepStop},
		{"another class", func(v *view) { v.rec.DBInstanceClass = aws.Ptr("db.t3.small") }, stepStop},
		{"another class, stopped for it", func(v *view) { v.rec.DBInstanceClass, v.running = aws.Ptr("db.t3.small"), false }, stepStart},
		{"another password", func(v *view) { v.rec.Master = database.Master{User: "root", Verifier: "x"} }, stepMaster},
		{"a parameter changed", func(v *view) { v.wanted["a"] = "1" }, stepParameters},
		{"fresh from a start", func(v *view) { v.rec.Applied = nil }, stepParameters},
		{"another group waits for a reboot", func(v *view) { v.rec.ParameterGroup, v.wanted["a"] = "h", "1" }, stepSettle},
		{"a snapshot", func(v *view) { v.snapshot = "s" }, stepSnapshot},
		{"back from something", func(v *view) { v.rec.DBInstanceStatus = aws.Ptr(statusModifying) }, stepSettle},
		{"a value waits, outside of the window", func(v *view) { v.rec.PendingModifiedValues.DBInstanceClass = aws.Ptr("x") }, stepNone},
		{"a value waits, in the window", func(v *view) {
			v.rec.PendingModifiedValues.DBInstanceClass, v.now = aws.Ptr("x"), time.Date(2026, 11, 22, 4, 10, 0, 0, time.UTC)
		}, stepTakeOver},
		{"to be stopped", func(v *view) { v.rec.Goal = goalStopped }, stepStop},
		{"to be stopped, with a snapshot", func(v *view) { v.rec.Goal, v.snapshot = goalStopped, "s" }, stepSnapshot},
		{"stopped", func(v *view) { v.rec.Goal, v.running = goalStopped, false }, stepSettle},
		{"to be deleted, with a final snapshot", func(v *view) { v.rec.Goal, v.snapshot = goalDeleted, "s" }, stepSnapshot},
		{"to be deleted", func(v *view) { v.rec.Goal = goalDeleted }, stepDelete},
		{"server deleted", func(v *view) { v.rec.Goal, v.exists, v.running = goalDeleted, false, false }, stepDeleteInterface},
		{"nothing left", func(v *view) {
			v.rec.Goal, v.exists, v.running, v.rec.Interface = goalDeleted, false, false, observedInterface{}
		}, stepForget},
	} {
		v := settled()
		c.change(&v)
		if got := plan(v); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPlanSettles: whatever an instance is like, doing what the plan says comes
// to an end, with the goal reached.
func TestPlanSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := settled()
		boolean := rapid.Bool()
		v.rec.Goal = rapid.SampledFrom([]goal{goalRunning, goalStopped, goalDeleted}).Draw(t, "goal")
		v.rec.DBInstanceStatus = aws.Ptr(rapid.SampledFrom([]string{statusCreating, statusAvailable, statusModifying, statusStopped, statusStopping, statusFailed, statusBackingUp}).Draw(t, "status"))
		v.rec.Made = boolean.Draw(t, "made")
		v.exists = v.rec.Made || boolean.Draw(t, "exists")
		v.running = v.exists && boolean.Draw(t, "running")
		v.rec.PubliclyAccessible = aws.Ptr(boolean.Draw(t, "public"))
		if boolean.Draw(t, "no interface") {
			v.rec.Interface = observedInterface{}
		}
		v.rec.Reboots = rapid.IntRange(0, 2).Draw(t, "reboots")
		v.rec.Port = rapid.SampledFrom([]uint16{3306, 3307}).Draw(t, "port")
		v.rec.Master.Verifier = rapid.SampledFrom([]string{"", "x"}).Draw(t, "verifier")
		v.rec.ParameterGroup = rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group")
		v.wanted = rapid.MapOf(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"1", "2"})).Draw(t, "wanted")
		v.snapshot = rapid.SampledFrom([]string{"", "s"}).Draw(t, "snapshot")
		for range maxSteps {
			rec := &v.rec
			switch plan(v) {
			case stepNone:
				if running := rec.Goal == goalRunning; v.running != running || rec.Goal == goalDeleted {
					t.Fatalf("settled short of the goal: %+v", v)
				}
				return
			case stepForget:
				if v.exists || v.running || rec.Interface.ID != "" {
					t.Fatalf("forgotten with something left: %+v", v)
				}
				return
			case stepCreateInterface:
				rec.Interface = observedInterface{ID: "eni-2", Groups: rec.Groups}
			case stepChangeInterface:
				rec.Interface.Groups, rec.Interface.Public = rec.Groups, *rec.PubliclyAccessible
			case stepDeleteInterface:
				rec.Interface = observedInterface{}
			case stepStart:
				v.exists, v.running = true, true
				if !rec.Made {
					rec.Master.Verifier = ""
				}
				rec.Made, rec.RebootsDone, rec.Applied, rec.AppliedGroup, rec.Outcomes = true, rec.Reboots, nil, rec.ParameterGroup, nil
				rec.Started = started{*rec.DBInstanceClass, *rec.EngineVersion, rec.Port, v.wanted}
			case stepStop:
				v.running = false
			case stepMaster:
				rec.Master.Verifier = ""
			case stepParameters:
				rec.Applied = v.wanted
			case stepSnapshot:
				v.snapshot = ""
			case stepDelete:
				v.exists, v.running = false, false
			case stepTakeOver:
				rec.takeOver()
			case stepSettle:
				rec.DBInstanceStatus = aws.Ptr(statusAvailable)
				if rec.Goal == goalStopped {
					rec.DBInstanceStatus = aws.Ptr(statusStopped)
				}
				rec.DBParameterGroups[0].ParameterApplyStatus = aws.Ptr(parameterStatus(v))
			}
		}
		t.Fatalf("it does not settle: %+v", v)
	})
}

func TestFormula(t *testing.T) {
	h := hardware{cpus: 2, memory: 1 << 30}
	for text, want := range map[string]string{
		"utf8mb4": "utf8mb4", "{DBInstanceClassMemory*3/4}": "805306368", "{DBInstanceClassMemory/12582880}": "85",
		"GREATEST({log(DBInstanceClassMemory/805306368)*45},1000)": "1000", "LEAST({DBInstanceClassMemory/9531392},5000)": "112",
		"{AllocatedStorage/1073741824}": "20", "{DBInstanceVCPU+1-2*3}": "-3",
	} {
		if got, err := formula(text, h, 20); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"{", "{}", "{1/0}", "{Nothing}", "{1 2}", "{log(1}", "{1+}"} {
		if got, err := formula(bad, h, 20); err == nil {
			t.Errorf("%s: %s", bad, got)
		}
	}
}

func TestCatalog(t *testing.T) {
	for engine, o := range engines {
		for _, v := range o.Versions {
			if of, ok := familyEngine(family(engine, v)); !ok || of != engine {
				t.Errorf("the family %s of %s is %s's", family(engine, v), v, of)
			}
		}
		if got, err := version(engine, "", false); err != nil || got.taken != o.Default {
			t.Error(engine, got, err)
		}
	}
	for _, c := range []struct{ engine, wanted, want string }{
		{"mysql", "8.0", "8.0.46"}, {"mysql", "5.5.62", "5.7.44-rds.20260212"}, {"postgres", "9.6.1", "11.22-rds.20251114"}, {"mysql", "9.9.9", "8.4.9"}, {"postgres", "15.2", "15.17"},
	} {
		if got, err := version(c.engine, c.wanted, true); err != nil || got.taken != c.want {
			t.Errorf("%s %s: %v %v", c.engine, c.wanted, got, err)
		}
	}
	if h := hardwareOf("db.m5.24xlarge"); h.cpus != 96 || h.memory != 384<<30 {
		t.Error(h)
	}
}
