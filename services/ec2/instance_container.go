package ec2

import (
	"fmt"
	"strings"

	"minato/aws"
	"minato/dataplane/container"
)

// container is the id of the container, and of its group, in which an instance's
// present generation runs.
func (r *instanceRecord) container() string { return fmt.Sprintf("%s-%d", *r.InstanceId, r.Generation) }

// group is the container's group: the interface's namespace, names, limits.
func (r *instanceRecord) group(netns string, dns []string) container.Group {
	size, _ := sizeOf(aws.Val(r.InstanceType))
	name := aws.Val(r.PrivateDnsName)
	host, domain, _ := strings.Cut(name, ".")
	return container.Group{
		ID: r.container(), Netns: netns, Hostname: host, Labels: map[string]string{"instance": *r.InstanceId},
		Hosts:  []container.HostEntry{{Addr: aws.Val(r.PrivateIpAddress), Names: []string{name, host}}},
		DNS:    container.DNS{Servers: dns, Search: []string{domain}},
		Limits: container.Limits{CPUs: float64(size.cpus), Memory: size.memory, PIDs: 8192},
	}
}
