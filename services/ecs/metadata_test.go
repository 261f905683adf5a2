package ecs

import (
	"context"
	"fmt"
	"testing"
	"time"

	"minato/aws"
	stsapi "minato/aws/api/sts"
	"minato/internal/clock"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
)

// keys is an STS that numbers the sessions it gives, of an hour each.
type keys struct {
	stsapi.API
	clock *clock.Fake
	given int
}

func (k *keys) AssumeRole(_ context.Context, in *stsapi.AssumeRoleInput) (*stsapi.AssumeRoleOutput, error) {
	k.given++
	return &stsapi.AssumeRoleOutput{
		AssumedRoleUser: &stsapi.AssumedRoleUser{Arn: aws.Ptr(*in.RoleArn + "/" + *in.RoleSessionName), AssumedRoleId: aws.Ptr("AROA:x")},
		Credentials: &stsapi.Credentials{
			AccessKeyId: aws.Ptr(fmt.Sprint("ASIA", k.given)), SecretAccessKey: aws.Ptr("s"), SessionToken: aws.Ptr("t"), Expiration: aws.Ptr(k.clock.Now().Add(time.Hour)),
		},
	}, nil
}

// TestTaskCredentials: a task gets its own role's keys, the same ones until a
// while before their end; nobody else gets them. The pace changes nothing of it.
func TestTaskCredentials(t *testing.T) {
	y := newYard(t)
	y.clock.SetPace(20)
	sts := &keys{clock: y.clock}
	y.ecs.STS = sts
	y.must(y.run("solo"))
	all, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	rec := all[0]
	y.must(second(y.ecs.tasks.Update(y.ctx, func(t *record.Task) error { t.ENI = "eni-1"; return nil }, rec.IDs()...)))
	get := func(eni, id string) string {
		t.Helper()
		c, err := y.ecs.TaskCredentials(context.Background(), eni, id)
		y.must(err)
		if c == nil {
			return ""
		}
		if c.RoleARN != "arn:aws:iam::000000000000:role/t" || !c.Expiration.After(y.clock.Now().Add(15*time.Minute)) {
			t.Errorf("%+v at %v", c, y.clock.Now())
		}
		return c.AccessKeyID
	}
	for _, c := range []struct {
		after   time.Duration
		eni, id string
		want    string
	}{
		{0, "eni-1", rec.CredentialsID, "ASIA1"},
		{0, "eni-2", rec.CredentialsID, ""}, // another task's interface
		{0, "eni-1", "", ""},
		{0, "eni-1", "guessed", ""},
		{39 * time.Minute, "eni-1", rec.CredentialsID, "ASIA1"},
		{2 * time.Minute, "eni-1", rec.CredentialsID, "ASIA2"}, // renewed; the old ones are good until their own end
		{35 * time.Minute, "eni-1", rec.CredentialsID, "ASIA2"},
		{10 * time.Minute, "eni-1", rec.CredentialsID, "ASIA3"},
	} {
		y.clock.Advance(c.after)
		if got := get(c.eni, c.id); got != c.want {
			t.Errorf("%s of %q after %s: %q, want %q", c.id, c.eni, c.after, got, c.want)
		}
	}
	if sts.given != 3 {
		t.Errorf("%d sessions were made", sts.given)
	}
	y.must(second(y.ecs.tasks.Update(y.ctx, func(t *record.Task) error { t.LastStatus = aws.Ptr(life.Stopped); return nil }, rec.IDs()...)))
	if got := get("eni-1", rec.CredentialsID); got != "" {
		t.Errorf("a task that has ended gets %q", got)
	}
}
