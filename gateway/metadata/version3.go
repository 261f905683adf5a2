package metadata

import (
	"net/http"
	"strings"
)

// container3 is a container in version 3 of the metadata, which knows less than
// version 4.
type container3 struct {
	*Container
	// These hide Container's own.
	LogDriver    *struct{} `json:",omitempty"`
	LogOptions   *struct{} `json:",omitempty"`
	ContainerARN *struct{} `json:",omitempty"`
	Snapshotter  *struct{} `json:",omitempty"`
	RestartCount *struct{} `json:",omitempty"`
	Networks     []network3
}

type network3 struct {
	NetworkMode   string
	IPv4Addresses []string
}

func (c *Container) version3() container3 {
	out := container3{Container: c}
	for _, n := range c.Networks {
		out.Networks = append(out.Networks, network3{n.NetworkMode, n.IPv4Addresses})
	}
	return out
}

// task3 is a task in version 3 of the metadata.
type task3 struct {
	*Task
	ServiceName           *struct{}         `json:",omitempty"`
	LaunchType            *struct{}         `json:",omitempty"`
	VPCID                 *struct{}         `json:",omitempty"`
	FaultInjectionEnabled *struct{}         `json:",omitempty"`
	TaskTags              map[string]string `json:",omitempty"`
	Containers            []container3
}

func (t *Task) version3(tags map[string]string) task3 {
	out := task3{Task: t, TaskTags: tags}
	for i := range t.Containers {
		out.Containers = append(out.Containers, t.Containers[i].version3())
	}
	return out
}

// inVersion is a container in the version that is asked for.
func inVersion(r *http.Request, c *Container) any {
	if strings.HasPrefix(r.URL.Path, "/v3/") {
		return c.version3()
	}
	return c
}
