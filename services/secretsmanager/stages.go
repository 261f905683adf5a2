package secretsmanager

import (
	"slices"

	api "minato/aws/api/secretsmanager"
)

// The labels that Secrets Manager itself moves.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// maxStages is how many labels a secret may have.
const maxStages = 20

// stages are a secret's labels: which version holds which. Versions without a
// label are not in it. It is the API's VersionIdsToStages.
type stages map[string][]string

// holder is the version that has a label, "" when none has.
func (s stages) holder(label string) string {
	for id, labels := range s {
		if slices.Contains(labels, label) {
			return id
		}
	}
	return ""
}

// count is how many labels there are.
func (s stages) count() int {
	n := 0
	for _, labels := range s {
		n += len(labels)
	}
	return n
}

// take removes a label from whichever version has it.
func (s stages) take(label string) {
	id := s.holder(label)
	if id == "" {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(s[id]), func(l string) bool { return l == label })
	if len(rest) == 0 {
		delete(s, id)
	} else {
		s[id] = rest
	}
}

// give puts a label on a version, and only there. When AWSCURRENT moves, the
// version that had it becomes AWSPREVIOUS, and the one that was current before
// that is nothing any more.
func (s stages) give(label, id string) {
	was := s.holder(label)
	if was == id {
		return
	}
	s.take(label)
	s[id] = append(slices.Clone(s[id]), label)
	if label == current {
		// What becomes current is not the previous one any more, even when
		// nothing was current before.
		s.take(previous)
		if was != "" {
			s.give(previous, was)
		}
	}
}

// add is what a new version does to the labels: it takes those it is given, or
// AWSCURRENT. A secret's first version is always current.
func (s stages) add(id string, labels []string) error {
	if len(labels) == 0 {
		labels = []string{current}
	}
	if s.holder(current) == "" && !slices.Contains(labels, current) {
		labels = append([]string{current}, labels...)
	}
	if slices.Contains(labels, previous) && slices.Contains(labels, current) {
		return api.InvalidParameterException("A version can't have both of the staging labels AWSCURRENT and AWSPREVIOUS.")
	}
	for _, l := range labels {
		s.give(l, id)
	}
	return s.check()
}

// move is UpdateSecretVersionStage: from and to are versions that exist, or "".
func (s stages) move(label, from, to string) error {
	holder := s.holder(label)
	switch {
	case from == "" && to == "":
		return api.InvalidParameterException("You must provide a value for either MoveToVersionId or RemoveFromVersionId.")
	case to == "" && label == current && holder == from:
		return api.InvalidParameterException("You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.")
	case from != "" && holder != from && (holder != to || to == ""):
		return api.InvalidParameterException("The staging label %s isn't currently attached to version %s.", label, from)
	case to != "" && from == "" && holder != "" && holder != to:
		return api.InvalidParameterException("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", label, holder)
	case to == "":
		s.take(label)
		return nil
	}
	s.give(label, to)
	return s.check()
}

func (s stages) check() error {
	if s.count() > maxStages {
		return api.LimitExceededException("You can't have more than %d staging labels for a secret.", maxStages)
	}
	return nil
}
