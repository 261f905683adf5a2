package daemon

import (
	"context"
	"slices"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// paged lists one service a page.
type paged struct {
	ecsapi.API
	names []string
}

func (p paged) ListServices(_ context.Context, in *ecsapi.ListServicesInput) (*ecsapi.ListServicesOutput, error) {
	i := slices.Index(p.names, aws.Val(in.NextToken)) + 1
	out := &ecsapi.ListServicesOutput{ServiceArns: p.names[i : i+1]}
	if i+1 < len(p.names) {
		out.NextToken = &p.names[i]
	}
	return out, nil
}

func TestStatusFollowsPages(t *testing.T) {
	names := []string{"a", "b", "c"}
	got, err := allServices(t.Context(), paged{names: names}, "chat")
	if err != nil || !slices.Equal(got, names) {
		t.Error(got, err)
	}
}
