// Package arn builds and parses Amazon Resource Names; nothing else in the
// house puts one together by hand.
package arn

import "strings"

// ARN is the six parts of a name; Resource may hold colons and slashes.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// New makes an ARN of the partition aws. The region is empty for global
// services such as IAM.
func New(service, region, account, resource string) ARN {
	return ARN{Partition: "aws", Service: service, Region: region, Account: account, Resource: resource}
}

// IAM makes the ARN of an IAM entity: kind is "user", "role", "group",
// "policy" or "instance-profile", path begins and ends with a slash.
func IAM(account, kind, path, name string) ARN {
	return New("iam", "", account, kind+path+name)
}

// AssumedRole makes the ARN of a role's session.
func AssumedRole(account, role, session string) ARN {
	return New("sts", "", account, "assumed-role/"+role+"/"+session)
}

// String is the name as it is written.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Parse takes a name apart; ok is false when s is none.
func Parse(s string) (a ARN, ok bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, false
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

// Type is the resource's type: what is before the first slash or colon
// ("task-definition" of "task-definition/web:3"), or "" when there is none.
func (a ARN) Type() string {
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 {
		return a.Resource[:i]
	}
	return ""
}

// ID is the resource without its type: "web:3" of "task-definition/web:3".
func (a ARN) ID() string {
	return a.Resource[strings.IndexAny(a.Resource, "/:")+1:]
}

// Name is the last part of the path: "chat" of "role/service-role/chat".
func (a ARN) Name() string {
	return a.Resource[strings.LastIndexAny(a.Resource, "/:")+1:]
}
