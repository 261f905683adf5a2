package clock_test

import (
	"context"
	"testing"
	"time"

	"minato/internal/clock"
)

func TestFake(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := clock.NewFake(start)
	done := make(chan error, 1)
	go func() { done <- clock.Sleep(context.Background(), f, time.Minute) }()
	if !f.AwaitWaiting(1) {
		t.Fatal("nobody waits")
	}
	f.Advance(59 * time.Second)
	select {
	case <-done:
		t.Fatal("woken too early")
	default:
	}
	f.Advance(time.Second)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := f.Now(); !got.Equal(start.Add(time.Minute)) {
		t.Errorf("it is %v", got)
	}
	if f.Waiting() != 0 {
		t.Error("a wait is left")
	}
	f.SetPace(20)
	if d := f.Paced(time.Minute); d != 3*time.Second {
		t.Errorf("paced %v", d)
	}
	<-f.After(0) // at once
}

func TestRealPace(t *testing.T) {
	if d := clock.Real(20).Paced(time.Minute); d != 3*time.Second {
		t.Errorf("pace 20: %v", d)
	}
	if d := clock.Real(0).Paced(time.Minute); d != time.Minute {
		t.Errorf("pace 0 counts as 1: %v", d)
	}
}
