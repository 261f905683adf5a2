// Package arn takes Amazon Resource Names apart and builds them. It is the only
// place that knows how they look.
package arn

import "strings"

// ARN is an Amazon Resource Name in its parts.
type ARN struct {
	Partition string
	Service   string
	Region    string // empty for global services
	Account   string
	Resource  string // "cluster/chat", "db:chat-db"
}

// Parse takes an ARN apart; ok is false when it is none.
func Parse(text string) (a ARN, ok bool) {
	p := strings.SplitN(text, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, false
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

// String is the ARN as written.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Kind is what stands before the first slash or colon of the resource:
// "cluster" of "cluster/chat", "db" of "db:chat-db".
func (a ARN) Kind() string {
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 {
		return a.Resource[:i]
	}
	return a.Resource
}

// ID is what follows the kind: "chat/0123…" of "task/chat/0123…"; empty when
// the resource is the kind alone.
func (a ARN) ID() string { return a.Resource[min(len(a.Kind())+1, len(a.Resource)):] }

// Last is what follows the last slash of the resource: a task's id, a role's
// name without its path.
func (a ARN) Last() string {
	return a.Resource[strings.LastIndexAny(a.Resource, "/:")+1:]
}

// Is tells whether text is an ARN rather than a name.
func Is(text string) bool { return strings.HasPrefix(text, "arn:") }

// Place is where resources are: an account in a region.
type Place struct{ Partition, Region, Account string }

// In returns the place in AWS's usual partition.
func In(region, account string) Place {
	return Place{Partition: "aws", Region: region, Account: account}
}

// Of builds the ARN of any resource in the place.
func (p Place) Of(service, resource string) string {
	return ARN{p.Partition, service, p.Region, p.Account, resource}.String()
}

// global builds the ARN of a resource of a service without regions.
func (p Place) global(service, resource string) string {
	return ARN{p.Partition, service, "", p.Account, resource}.String()
}
