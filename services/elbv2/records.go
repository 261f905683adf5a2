package elbv2

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/dataplane/proxy"
	"minato/store"
)

// balancer is the record of a load balancer with all that belongs to it: at
// most 50 listeners and 100 rules, AWS's quotas, so that what must be unique
// within it is checked in one record.
type balancer struct {
	elbapi.LoadBalancer
	Attributes map[string]string // those that were set
	Tags       []elbapi.Tag
	Listeners  []listener
}

// listener is a listener with its rules, the default not among them.
type listener struct {
	elbapi.Listener
	Attributes map[string]string
	Tags       []elbapi.Tag
	Rules      []rule
	Extra      []string `json:",omitempty"` // certificates besides the default one
}

// rule is a rule that is not the default.
type rule struct {
	elbapi.Rule
	Number int // Priority
	Tags   []elbapi.Tag
}

// nodes is what the reconciler of the interfaces saw of a load balancer. Only
// it writes the record.
type nodes struct {
	ARN    string // of the load balancer: a name may come again
	Nodes  []node
	Active bool // all of them are real
}

// node is a load balancer's interface in one subnet.
type node struct {
	Subnet  string
	ENI     string
	Private netip.Addr
	Public  netip.Addr // zero when it has none
}

// group is the record of a target group. LoadBalancerArns is kept right by
// whatever changes a listener or a rule.
type group struct {
	elbapi.TargetGroup
	Attributes map[string]string
	Tags       []elbapi.Tag
	Targets    []target
}

// target is a registered target.
type target struct {
	Address    netip.AddrPort
	Instance   string     `json:",omitempty"` // whose address it is
	Zone       string     `json:",omitempty"` // "all" for an address outside the VPC
	Deregister *time.Time `json:",omitempty"` // since when it drains
	// State is the instance's where it does not run. Only the reconciler of the
	// instances writes it, and RegisterTargets, which takes none but those that run.
	State string `json:",omitempty"`
}

// health is the last that was seen of a target group's targets. Only the
// reconciler of the health writes it.
type health struct {
	ARN     string
	Targets []proxy.TargetHealth
}

func balancersGone() error {
	return elbapi.LoadBalancerNotFoundException("One or more load balancers not found")
}

func groupsGone() error {
	return elbapi.TargetGroupNotFoundException("One or more target groups not found")
}

func listenersGone() error {
	return elbapi.ListenerNotFoundException("One or more listeners not found")
}
func rulesGone() error { return elbapi.RuleNotFoundException("One or more rules not found") }

// arnParts are the parts of one of our ARNs: loadbalancer/KIND/NAME/ID,
// listener/KIND/NAME/LB/ID, listener-rule/KIND/NAME/LB/LISTENER/ID,
// targetgroup/NAME/ID.
func arnParts(text, kind string, parts int) ([]string, bool) {
	a, ok := arn.Parse(text)
	if !ok || a.Kind() != kind {
		return nil, false
	}
	p := strings.Split(a.ID(), "/")
	return p, len(p) == parts
}

// balancerName finds the name of the load balancer that an ARN of it, of a
// listener or of a rule speaks of.
func balancerName(text string) (string, bool) {
	for kind, parts := range map[string]int{"loadbalancer": 3, "listener": 4, "listener-rule": 5} {
		if p, ok := arnParts(text, kind, parts); ok && (p[0] == appKind || p[0] == networkKind) {
			return p[1], true
		}
	}
	return "", false
}

// txBalancer reads the load balancer an ARN speaks of (its own, a listener's or
// a rule's); gone is the error when there is none.
func (s *Service) txBalancer(tx *store.Tx, p arn.Place, text *string, gone func() error) (balancer, error) {
	name, ok := balancerName(aws.Val(text))
	if !ok {
		return balancer{}, invalid("'%s' is not a valid load balancer ARN", aws.Val(text))
	}
	b, found, err := s.balancers.TxGet(tx, p.Account, p.Region, name)
	if err == nil && (!found || !b.owns(aws.Val(text))) {
		err = gone()
	}
	return b, err
}

// owns tells whether the ARN is the load balancer's, a listener's or a rule's of it.
func (b *balancer) owns(text string) bool {
	self := aws.Val(b.LoadBalancerArn)
	return text == self || b.listener(text) != nil || b.ruleListener(text) != nil
}

func (b *balancer) listener(text string) *listener {
	for i := range b.Listeners {
		if aws.Val(b.Listeners[i].ListenerArn) == text {
			return &b.Listeners[i]
		}
	}
	return nil
}

// defaultRule is the ARN of the rule that a listener's default actions are.
func (l *listener) defaultRule() string {
	return strings.Replace(aws.Val(l.ListenerArn), ":listener/", ":listener-rule/", 1) + "/" + l.suffix()
}

// suffix is the id of the default rule, which nothing else needs: the
// listener's own.
func (l *listener) suffix() string {
	text := aws.Val(l.ListenerArn)
	return text[strings.LastIndexByte(text, '/')+1:]
}

func (l *listener) rule(text string) *rule {
	for i := range l.Rules {
		if aws.Val(l.Rules[i].RuleArn) == text {
			return &l.Rules[i]
		}
	}
	return nil
}

// ruleListener finds the listener that has the rule.
func (b *balancer) ruleListener(text string) *listener {
	for i := range b.Listeners {
		if l := &b.Listeners[i]; l.rule(text) != nil || l.defaultRule() == text {
			return l
		}
	}
	return nil
}

// uses lists the target groups that the load balancer's actions forward to.
func (b *balancer) uses() []string {
	seen := map[string]bool{}
	add := func(actions []elbapi.Action) {
		for _, g := range forwardsTo(actions) {
			seen[aws.Val(g.TargetGroupArn)] = true
		}
	}
	for i := range b.Listeners {
		add(b.Listeners[i].DefaultActions)
		for j := range b.Listeners[i].Rules {
			add(b.Listeners[i].Rules[j].Actions)
		}
	}
	var all []string
	for a := range seen {
		all = append(all, a)
	}
	slices.Sort(all)
	return all
}

// forwardsTo lists the groups of forward actions.
func forwardsTo(actions []elbapi.Action) []elbapi.TargetGroupTuple {
	var all []elbapi.TargetGroupTuple
	for i := range actions {
		if f := actions[i].ForwardConfig; f != nil {
			all = append(all, f.TargetGroups...)
		}
	}
	return all
}

// txGroup reads a target group by its ARN.
func (s *Service) txGroup(tx *store.Tx, p arn.Place, text *string) (group, error) {
	parts, ok := arnParts(aws.Val(text), "targetgroup", 2)
	if !ok {
		return group{}, invalid("'%s' is not a valid target group ARN", aws.Val(text))
	}
	g, found, err := s.groups.TxGet(tx, p.Account, p.Region, parts[0])
	if err == nil && (!found || aws.Val(g.TargetGroupArn) != aws.Val(text)) {
		err = groupsGone()
	}
	return g, err
}

// txPutBalancer writes a load balancer whose actions may have changed, and with
// it what its target groups know of who uses them. before is what it used.
func (s *Service) txPutBalancer(tx *store.Tx, p arn.Place, b *balancer, before []string) error {
	self := aws.Val(b.LoadBalancerArn)
	after := b.uses()
	if len(after) > maxUnique && len(after) > len(before) {
		return elbapi.TooManyUniqueTargetGroupsPerLoadBalancerException("The maximum number of unique target groups has been reached on load balancer '%s'", self)
	}
	for _, text := range after {
		g, err := s.txGroup(tx, p, &text)
		if err != nil {
			return err
		}
		if err := b.fits(&g); err != nil {
			return err
		}
		if slices.Contains(before, text) {
			continue
		}
		if len(g.LoadBalancerArns) > 0 && !slices.Contains(g.LoadBalancerArns, self) {
			return elbapi.TargetGroupAssociationLimitException("The following target groups cannot be associated with more than one load balancer: %s", text)
		}
		if aws.Val(g.VpcId) != aws.Val(b.VpcId) {
			return elbapi.InvalidConfigurationRequestException("The following target groups are not in the same VPC as load balancer '%s': %s", self, text)
		}
		g.LoadBalancerArns = []string{self}
		if err := s.groups.TxPut(tx, g, p.Account, p.Region, aws.Val(g.TargetGroupName)); err != nil {
			return err
		}
	}
	if err := s.txRelease(tx, p, before, after); err != nil {
		return err
	}
	return s.balancers.TxPut(tx, *b, p.Account, p.Region, aws.Val(b.LoadBalancerName))
}

// fits checks that what forwards to a group speaks what the group does.
func (b *balancer) fits(g *group) error {
	if b.network() != stream(g.Protocol) {
		return elbapi.InvalidConfigurationRequestException("The protocol '%s' of target group '%s' is not supported by load balancers of type '%s'", aws.Val(g.Protocol), aws.Val(g.TargetGroupArn), aws.Val(b.Type))
	}
	if aws.Val(g.ProtocolVersion) != "GRPC" {
		return nil
	}
	for i := range b.Listeners {
		l := &b.Listeners[i]
		if !secure(l.Protocol) && l.uses(aws.Val(g.TargetGroupArn)) {
			return elbapi.InvalidConfigurationRequestException("Listener protocol '%s' is not supported with a target group with the protocol-version 'GRPC'", aws.Val(l.Protocol))
		}
	}
	return nil
}

// uses tells whether a listener forwards to a group.
func (l *listener) uses(text string) bool {
	is := func(g elbapi.TargetGroupTuple) bool { return aws.Val(g.TargetGroupArn) == text }
	return slices.ContainsFunc(forwardsTo(l.DefaultActions), is) ||
		slices.ContainsFunc(l.Rules, func(r rule) bool { return slices.ContainsFunc(forwardsTo(r.Actions), is) })
}

// txRelease takes the load balancer off the groups that it used before and does
// not after.
func (s *Service) txRelease(tx *store.Tx, p arn.Place, before, after []string) error {
	for _, text := range before {
		if slices.Contains(after, text) {
			continue
		}
		g, err := s.txGroup(tx, p, &text)
		if err != nil {
			return err
		}
		g.LoadBalancerArns = nil
		if err := s.groups.TxPut(tx, g, p.Account, p.Region, aws.Val(g.TargetGroupName)); err != nil {
			return err
		}
	}
	return nil
}

// changeBalancer changes the load balancer an ARN speaks of, its listeners and
// rules included, and returns it.
func (s *Service) changeBalancer(ctx context.Context, text *string, gone func() error, f func(tx *store.Tx, b *balancer) error) (balancer, error) {
	p := at(ctx)
	var b balancer
	err := store.Update(ctx, s.Store, func(tx *store.Tx) (err error) {
		if b, err = s.txBalancer(tx, p, text, gone); err != nil {
			return err
		}
		before := b.uses()
		if err := f(tx, &b); err != nil {
			return err
		}
		return s.txPutBalancer(tx, p, &b, before)
	})
	return b, err
}

// changeGroup changes a target group and returns it.
func (s *Service) changeGroup(ctx context.Context, text *string, f func(g *group) error) (group, error) {
	p := at(ctx)
	var g group
	err := store.Update(ctx, s.Store, func(tx *store.Tx) (err error) {
		if g, err = s.txGroup(tx, p, text); err != nil {
			return err
		}
		if err := f(&g); err != nil {
			return err
		}
		return s.groups.TxPut(tx, g, p.Account, p.Region, aws.Val(g.TargetGroupName))
	})
	return g, err
}

// readBalancer is a load balancer by the ARN of it, a listener or a rule.
func (s *Service) readBalancer(ctx context.Context, text *string, gone func() error) (b balancer, err error) {
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		b, err = s.txBalancer(tx, at(ctx), text, gone)
		return err
	})
	return b, err
}

// readGroup is a target group by its ARN.
func (s *Service) readGroup(ctx context.Context, text *string) (g group, err error) {
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		g, err = s.txGroup(tx, at(ctx), text)
		return err
	})
	return g, err
}
