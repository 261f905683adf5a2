package daemon

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"minato/services/ec2"
	"minato/services/ec2/netplan"
)

// resolverAddr is where every VPC has its resolver besides base+2.
var resolverAddr = netip.MustParseAddr("169.254.169.253")

// vpcServices keeps a resolver and the metadata endpoints listening inside each
// VPC that the network has.
type vpcServices struct {
	d *daemon

	mu      sync.Mutex
	running map[string]context.CancelFunc // by VPC
}

func newVPCServices(d *daemon) *vpcServices {
	return &vpcServices{d: d, running: map[string]context.CancelFunc{}}
}

// update is called after each change of the network: what came is served, what
// went is not.
func (v *vpcServices) update() {
	vpcs, err := v.d.ec2.VPCs(v.d.ctx)
	if err != nil {
		v.d.log.Error("the VPCs' own services", "error", err)
		return
	}
	v.d.names.setVPCs(vpcs)
	endpoints, err := v.d.ec2.Endpoints(v.d.ctx)
	if err != nil {
		v.d.log.Error("the VPCs' endpoints", "error", err)
		return
	}
	v.d.names.setEndpoints(endpoints)
	v.d.endpoints.update(endpoints)
	v.mu.Lock()
	defer v.mu.Unlock()
	there := map[string]bool{}
	var ids []string
	for _, vpc := range vpcs {
		there[vpc.ID] = true
		ids = append(ids, vpc.ID)
		if v.running[vpc.ID] == nil {
			ctx, cancel := context.WithCancel(v.d.ctx)
			v.running[vpc.ID] = cancel
			v.d.wg.Go(func() { v.run(ctx, vpc) })
		}
	}
	for id, cancel := range v.running {
		if !there[id] {
			cancel()
			delete(v.running, id)
		}
	}
	if err := v.d.metadata.Set(v.d.ctx, ids); err != nil {
		v.d.log.Warn("metadata endpoints", "error", err)
	}
}

// retry is how long an endpoint that could not be opened waits: the network may
// be a moment behind the records.
const retry = 200 * time.Millisecond

// run serves one VPC until ctx ends.
func (v *vpcServices) run(ctx context.Context, vpc ec2.VPC) {
	var wg sync.WaitGroup
	keep := func(what string, f func() error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := f(); err != nil && ctx.Err() == nil {
					v.d.log.Debug("a VPC's own service", "vpc", vpc.ID, "service", what, "error", err)
				}
				select {
				case <-time.After(retry):
				case <-ctx.Done():
				}
			}
		})
	}
	for _, a := range []netip.Addr{netplan.Resolver(vpc.CIDR), resolverAddr} {
		keep("dns", func() error { return v.resolver(ctx, vpc.ID, a) })
	}
	wg.Wait()
}

func (v *vpcServices) resolver(ctx context.Context, vpc string, a netip.Addr) error {
	at := netip.AddrPortFrom(a, 53)
	udp, err := v.d.network.ListenPacket(ctx, vpc, at)
	if err != nil {
		return err
	}
	tcp, err := v.d.network.Listen(ctx, vpc, at)
	if err != nil {
		udp.Close()
		return err
	}
	return v.d.dns.Serve(ctx, vpc, udp, tcp)
}
