package daemon

import (
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"minato/daemon/instance"
	"minato/dataplane/dns"
	"minato/dataplane/host"
	"minato/dataplane/network"
	"minato/services/ec2"
	"minato/services/elbv2"
	"minato/services/rds"
)

// names gathers the names of everything and tells them to the VPCs' resolver
// and, the public ones, to the machine's hosts file.
type names struct {
	cfg   Config
	in    instance.Instance
	log   *slog.Logger
	dns   *dns.Server
	fixed map[string][]netip.Addr

	mu      sync.Mutex
	sources map[string][]entry // by who told them
	vpcs    []ec2.VPC
	written string // the hosts file's block, as last written
}

// entry is one name: for everybody, or another answer for one VPC.
type entry struct {
	name  string
	addrs []netip.Addr
	vpc   string // "" is everybody
}

// apiHosts are the services whose endpoints resolve inside VPCs, in AWS's form.
var apiHosts = []string{"api.ecr", "ecs", "ec2", "elasticloadbalancing", "rds", "logs", "sts", "cloudformation", "cloud9", "ecs-a", "ecs-t", "secretsmanager", "ssm", "monitoring", "acm", "application-autoscaling", "ssmmessages", "ec2messages"}

func newNames(cfg Config, in instance.Instance, log *slog.Logger, server *dns.Server) *names {
	service := []netip.Addr{network.ServiceAddress(cfg.PublicCIDR)}
	n := &names{cfg: cfg, in: in, log: log, dns: server, fixed: map[string][]netip.Addr{}, sources: map[string][]entry{}}
	for _, h := range apiHosts {
		n.fixed[h+"."+cfg.Region+".amazonaws.com"] = service
	}
	n.fixed["iam.amazonaws.com"] = service
	n.fixed["sts.amazonaws.com"] = service
	n.fixed[registryHost(cfg)] = service
	objects, s3 := []netip.Addr{network.ObjectsAddress(cfg.PublicCIDR)}, "s3."+cfg.Region+".amazonaws.com"
	n.fixed[s3], n.fixed["*."+s3] = objects, objects
	return n
}

// registryHost is ECR's name for the account's registry.
func registryHost(cfg Config) string {
	return cfg.Account + ".dkr.ecr." + cfg.Region + ".amazonaws.com"
}

// set replaces what one source tells.
func (n *names) set(source string, entries []entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sources[source] = entries
	n.publish()
}

// setLoadBalancers is told the load balancers' names. One that faces the
// internet has its public addresses everywhere, as on AWS.
func (n *names) setLoadBalancers(all []elbv2.Name) {
	var entries []entry
	for _, lb := range all {
		entries = append(entries, entry{name: lb.Name, addrs: lb.Addrs})
	}
	n.set("load balancers", entries)
}

// setDatabases is told the databases' names: inside their VPC the private
// address, elsewhere the public one of those that have one.
func (n *names) setDatabases(all []rds.Name) {
	var entries []entry
	for _, db := range all {
		outside := db.Private
		if db.Public.IsValid() {
			outside = db.Public
		}
		entries = append(entries, entry{name: db.Name, addrs: []netip.Addr{outside}}, entry{name: db.Name, addrs: []netip.Addr{db.Private}, vpc: db.VPC})
	}
	n.set("databases", entries)
}

// setEndpoints is told the VPC endpoints: each has names of its own, and where
// private DNS is on its VPC is told its address for the service's name.
func (n *names) setEndpoints(all []ec2.Endpoint) {
	var entries []entry
	for _, e := range all {
		for _, name := range e.Names {
			entries = append(entries, entry{name: name.Name, addrs: name.Addrs})
		}
		if e.Private != nil {
			entries = append(entries, entry{name: e.Private.Name, addrs: e.Private.Addrs, vpc: e.VPC})
		}
	}
	n.set("endpoints", entries)
}

// setVPCs says which VPCs there are.
func (n *names) setVPCs(vpcs []ec2.VPC) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.vpcs = vpcs
	n.publish()
}

// publish tells resolver and hosts file what is known now.
func (n *names) publish() {
	c := &dns.Config{
		Names: maps.Clone(n.fixed), Views: map[string]dns.View{}, Upstreams: dns.SystemUpstreams("/etc/resolv.conf"),
		Zones: []string{n.cfg.Region + ".rds.amazonaws.com", n.cfg.Region + ".elb.amazonaws.com", "dkr.ecr." + n.cfg.Region + ".amazonaws.com", n.cfg.Region + ".vpce.amazonaws.com", "internal"},
	}
	zone := ec2.PrivateZone(n.cfg.Region)
	for _, v := range n.vpcs {
		c.Views[v.ID] = dns.View{Names: map[string][]netip.Addr{}, PrivateZone: zone, Off: !v.DNS}
	}
	public := map[string]netip.Addr{registryHost(n.cfg): network.ServiceAddress(n.cfg.PublicCIDR)}
	for _, source := range slices.Sorted(maps.Keys(n.sources)) {
		for _, e := range n.sources[source] {
			name := strings.ToLower(e.name)
			if e.vpc == "" {
				c.Names[name] = e.addrs
			} else if view, ok := c.Views[e.vpc]; ok {
				view.Names[name] = e.addrs
			}
			// A private address is never put there: it could be somebody
			// else's on the machine's LAN.
			for _, a := range e.addrs {
				if n.cfg.PublicCIDR.Contains(a) {
					public[name] = a
				}
			}
		}
	}
	n.dns.Set(c)
	if n.cfg.HostNames {
		n.writeHosts(public)
	}
}

// writeHosts writes the instance's block, if it changed.
func (n *names) writeHosts(public map[string]netip.Addr) {
	var list []host.Name
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(public)) {
		list = append(list, host.Name{Name: name, Addr: public[name]})
		text.WriteString(name + " " + public[name].String() + "\n")
	}
	if text.String() == n.written {
		return
	}
	refused, err := host.SetNames(host.HostsFile, n.in.ID, list, alive)
	if err != nil {
		n.log.Error("the names are not in the hosts file", "error", err)
		return
	}
	if len(refused) > 0 {
		n.log.Warn("another minato holds these names on this machine", "names", refused)
	}
	n.written = text.String()
}

// alive tells whether a daemon answers for an instance's id.
func alive(id string) bool {
	in := instance.Instance{ID: id}
	c, err := net.DialTimeout("unix", filepath.Clean(in.ControlSocket()), time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
