package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"minato/dataplane/network"
)

// Options is what an instance's network needs to know.
type Options struct {
	// ID is the instance's id, 6 characters: on everything on the host.
	ID string
	// Dir is where namespaces are pinned, gone after a reboot.
	Dir string
	// PublicCIDR is the pool of public addresses.
	PublicCIDR netip.Prefix
	// ServicePorts are the TCP ports of the machine, at the pool's service
	// address, that VPCs reach.
	ServicePorts []uint16
	// LAN lets VPCs reach the private ranges of the machine's LAN.
	LAN bool
	Log *slog.Logger
}

func (o Options) service() netip.Addr { return network.ServiceAddress(o.PublicCIDR) }
func (o Options) objects() netip.Addr { return network.ObjectsAddress(o.PublicCIDR) }
func (o Options) host() netip.Addr    { return network.HostAddress(o.PublicCIDR) }
func (o Options) hubPin() string      { return filepath.Join(o.Dir, "hub") }
func hostTable(id string) string      { return "minato_" + id }

// firewallInterval is how often Set looks at the host's firewall.
const firewallInterval = 20 * time.Second

// Network implements network.Network on this machine's kernel.
type Network struct {
	o   Options
	log *slog.Logger

	mu   sync.Mutex // Set, Purge, Close
	home *os.File   // the namespace we live in
	hub  *hub
	vpcs map[string]*vpc

	adopted bool      // leftovers of an earlier process are gone
	passed  time.Time // when the host's firewall was last looked at
	bg      sync.WaitGroup

	// state is what readers see; Set replaces it.
	stateMu sync.RWMutex
	ready   map[string]bool                  // interfaces that are real
	changed chan struct{}                    // closed when ready changed
	byAddr  map[string]map[netip.Addr]string // VPC, private address: interface
}

var _ network.Network = (*Network)(nil)

// Open makes what all VPCs share, or finds it: the guard over the pool, the hub,
// the link to it. VPCs of an earlier process go on as they are until the first Set.
func Open(o Options) (*Network, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the network needs root: it makes network namespaces and nftables rules")
	}
	if len(o.ID) != 6 {
		return nil, fmt.Errorf("instance id %q has not 6 characters", o.ID)
	}
	if !o.PublicCIDR.IsValid() || !o.PublicCIDR.Addr().Is4() || o.PublicCIDR.Bits() > 24 {
		return nil, fmt.Errorf("public range %s: an IPv4 range of at least /24 is needed", o.PublicCIDR)
	}
	o.PublicCIDR = o.PublicCIDR.Masked()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o711); err != nil {
		return nil, err
	}
	n := &Network{o: o, log: o.Log, vpcs: map[string]*vpc{}, ready: map[string]bool{}, changed: make(chan struct{}), byAddr: map[string]map[netip.Addr]string{}}
	var err error
	if n.home, err = ownNS(); err != nil {
		return nil, err
	}
	if n.hub, err = openHub(o); err != nil {
		n.home.Close()
		return nil, fmt.Errorf("network: %w", err)
	}
	if err := enableForwarding(o.ID); err != nil {
		n.Close()
		return nil, fmt.Errorf("network: forwarding: %w", err)
	}
	n.passFirewall()
	return n, nil
}

// passFirewall lets our packets pass the host's firewall; somebody (dockerd, when
// it starts) may have made one, or made it anew, since it was last looked at.
func (n *Network) passFirewall() {
	if time.Since(n.passed) < firewallInterval {
		return
	}
	n.passed = time.Now()
	if err := passForward(n.o.ID); err != nil {
		n.log.Warn("network: the host's firewall may cut VPCs from the internet", "error", err)
	}
}

func (n *Network) vpcPin(id string) string { return filepath.Join(n.o.Dir, "vpc", id) }

// NetnsPath implements network.Network.
func (n *Network) NetnsPath(eni string) string { return filepath.Join(n.o.Dir, "eni", eni) }

// Set implements network.Network.
func (n *Network) Set(ctx context.Context, c *network.Config) error {
	plans := make([]*plan, len(c.VPCs))
	public := map[netip.Addr]string{}
	wanted := map[string]bool{}
	var errs []error
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hub == nil {
		return errors.New("the network is closed")
	}
	n.passFirewall()
	for i := range c.VPCs {
		cfg := &c.VPCs[i]
		wanted[cfg.ID] = true
		if v := n.vpcs[cfg.ID]; v != nil && v.have != nil && reflect.DeepEqual(v.cfg, cfg) {
			plans[i] = v.have
		} else if p, err := makePlan(cfg); err != nil {
			errs = append(errs, fmt.Errorf("VPC %s: %w", cfg.ID, err))
			continue
		} else {
			plans[i] = p
		}
		for a := range plans[i].public {
			public[a] = cfg.ID
		}
	}
	n.setAddresses(c)
	for i := range c.VPCs {
		cfg := &c.VPCs[i]
		if plans[i] == nil {
			continue
		}
		v := n.vpcs[cfg.ID]
		if v == nil {
			var err error
			if v, err = n.openVPC(cfg.ID); err != nil {
				errs = append(errs, fmt.Errorf("VPC %s: %w", cfg.ID, err))
				continue
			}
			n.vpcs[cfg.ID] = v
		}
		if v.have != nil && v.have == plans[i] {
			continue
		}
		if err := v.apply(ctx, cfg, plans[i]); err != nil {
			errs = append(errs, fmt.Errorf("VPC %s: %w", cfg.ID, err))
		}
	}
	if err := n.hub.setPublic(public); err != nil {
		errs = append(errs, err)
	}
	n.markReady()
	if len(errs) == 0 || n.adopted {
		errs = append(errs, n.removeOthers(wanted, plans))
	}
	return errors.Join(errs...)
}

// removeOthers removes the VPCs that are not wanted. The first time it also takes
// what an earlier process left: VPCs and pins of interfaces that nobody wants.
func (n *Network) removeOthers(wanted map[string]bool, plans []*plan) error {
	var errs []error
	if !n.adopted {
		pins := map[string]bool{}
		for _, p := range plans {
			for id := range p.eths {
				pins[id] = true
			}
		}
		errs = append(errs, eachPin(filepath.Join(n.o.Dir, "eni"), func(id string) error {
			if pins[id] {
				return nil
			}
			return unpin(n.NetnsPath(id))
		}))
		errs = append(errs, eachPin(filepath.Join(n.o.Dir, "vpc"), func(id string) error {
			if wanted[id] {
				return nil
			}
			return n.removeVPC(id)
		}))
		n.adopted = true
	}
	for id := range n.vpcs {
		if !wanted[id] {
			errs = append(errs, n.removeVPC(id))
		}
	}
	return errors.Join(errs...)
}

// removeVPC removes a VPC's namespace and those of its interfaces.
func (n *Network) removeVPC(id string) error {
	var errs []error
	if err := n.hub.disconnect(id); err != nil {
		errs = append(errs, err)
	}
	if v := n.vpcs[id]; v != nil {
		if v.have != nil {
			for eni := range v.have.eths {
				errs = append(errs, unpin(n.NetnsPath(eni)))
			}
		}
		v.close()
		delete(n.vpcs, id)
	}
	// Without its pin the namespace goes, once nobody has a socket in it any more.
	errs = append(errs, unpin(n.vpcPin(id)))
	return errors.Join(errs...)
}

// eachPin calls f with the name of everything in a folder of pins.
func eachPin(dir string, f func(id string) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, f(e.Name()))
	}
	return errors.Join(errs...)
}

// markReady tells Wait which interfaces are real now.
func (n *Network) markReady() {
	ready := map[string]bool{}
	for _, v := range n.vpcs {
		for id := range v.ready {
			ready[id] = true
		}
	}
	n.stateMu.Lock()
	defer n.stateMu.Unlock()
	n.ready = ready
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *Network) setAddresses(c *network.Config) {
	byAddr := map[string]map[netip.Addr]string{}
	for _, v := range c.VPCs {
		m := make(map[netip.Addr]string, len(v.Interfaces))
		for _, e := range v.Interfaces {
			m[e.Addr] = e.ID
		}
		byAddr[v.ID] = m
	}
	n.stateMu.Lock()
	n.byAddr = byAddr
	n.stateMu.Unlock()
}

// Lookup implements network.Network.
func (n *Network) Lookup(vpc string, addr netip.Addr) (string, bool) {
	n.stateMu.RLock()
	defer n.stateMu.RUnlock()
	id, ok := n.byAddr[vpc][addr.Unmap()]
	return id, ok
}

// Wait implements network.Network.
func (n *Network) Wait(ctx context.Context, eni string) error {
	for {
		n.stateMu.RLock()
		ok, changed := n.ready[eni], n.changed
		n.stateMu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("interface %s is not there: %w", eni, ctx.Err())
		}
	}
}

// Close implements network.Network.
func (n *Network) Close() error {
	n.bg.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, v := range n.vpcs {
		v.close()
		delete(n.vpcs, id)
	}
	if n.hub != nil {
		n.hub.close()
		n.hub = nil
	}
	n.home.Close()
	return nil
}
