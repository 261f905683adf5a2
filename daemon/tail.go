package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	elbv2api "minato/aws/api/elbv2"
	logsapi "minato/aws/api/logs"
	"minato/daemon/control"
	"minato/daemon/tail"
)

// tailLogs is what `minato logs` reads. What goes wrong after the first line can
// only be told by cutting the answer off.
func (d *daemon) tailLogs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	lines, err := strconv.Atoi(query.Get("lines"))
	if err != nil || lines < 0 {
		control.Reply(w, nil, fmt.Errorf("the number of lines is %q", query.Get("lines")))
		return
	}
	t := &tail.Tail{ECS: ecsapi.NewClient(d.gateway), Logs: logsapi.NewClient(d.gateway)}
	out := &flusher{w: w}
	err = t.Copy(d.asRoot(r.Context()), query.Get("name"), lines, query.Get("follow") == "true", out)
	switch {
	case err == nil:
	case !out.begun:
		control.Reply(w, nil, err)
	case r.Context().Err() == nil:
		d.log.Warn("a log is not followed any further", "name", query.Get("name"), "error", err)
	}
}

// flusher sends each line at once.
type flusher struct {
	w     http.ResponseWriter
	begun bool
}

func (f *flusher) Write(b []byte) (int, error) {
	f.begun = true
	n, err := f.w.Write(b)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}

// balancer finds where a load balancer is reached: the name of an internet-facing
// one.
func (d *daemon) balancer(ctx context.Context, name string) (control.Balancer, error) {
	b := control.Balancer{Name: name}
	api := elbv2api.NewClient(d.gateway)
	out, err := api.DescribeLoadBalancers(ctx, &elbv2api.DescribeLoadBalancersInput{Names: []string{name}})
	if aws.IsCode(err, "LoadBalancerNotFound") || err == nil && len(out.LoadBalancers) == 0 {
		return b, fmt.Errorf("there is no load balancer %s", name)
	}
	if err != nil {
		return b, err
	}
	lb := out.LoadBalancers[0]
	if aws.Val(lb.Scheme) != elbv2api.LoadBalancerSchemeEnumInternetFacing {
		return b, fmt.Errorf("the load balancer %s is internal: nobody outside its VPC reaches it", name)
	}
	listeners, err := api.DescribeListeners(ctx, &elbv2api.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		return b, err
	}
	for _, l := range listeners.Listeners {
		b.Ports = append(b.Ports, uint16(aws.Val(l.Port)))
	}
	enis, err := ec2api.NewClient(d.gateway).DescribeNetworkInterfaces(ctx, &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{
		{Name: aws.Ptr("description"), Values: []string{"ELB */" + name + "/*"}},
	}})
	if err != nil {
		return b, err
	}
	for _, eni := range enis.NetworkInterfaces {
		if eni.Association != nil && b.Address == "" {
			b.Address = aws.Val(eni.Association.PublicIp)
		}
	}
	if b.Address == "" {
		return b, fmt.Errorf("the load balancer %s has no public address yet", name)
	}
	return b, nil
}
