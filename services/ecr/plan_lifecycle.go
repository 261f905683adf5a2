package ecr

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// rule is one rule of a lifecycle policy.
type rule struct {
	Priority    int    `json:"rulePriority"`
	Description string `json:"description"`
	Selection   struct {
		TagStatus      string   `json:"tagStatus"`
		TagPrefixList  []string `json:"tagPrefixList"`
		TagPatternList []string `json:"tagPatternList"`
		CountType      string   `json:"countType"`
		CountUnit      string   `json:"countUnit"`
		CountNumber    int      `json:"countNumber"`
	} `json:"selection"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

// The count types of rules.
const (
	countMoreThan = "imageCountMoreThan"
	countPushed   = "sinceImagePushed"
)

// parseLifecycle reads a lifecycle policy; the rules come in the order of
// their priority.
func parseLifecycle(text string) ([]rule, error) {
	var doc struct {
		Rules []rule `json:"rules"`
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("the policy is no valid JSON: %w", err)
	}
	if dec.More() {
		return nil, errors.New("the policy is no valid JSON: something follows it")
	}
	if len(doc.Rules) == 0 {
		return nil, errors.New("the policy has no rules")
	}
	seen := map[int]bool{}
	for _, r := range doc.Rules {
		if seen[r.Priority] {
			return nil, fmt.Errorf("two rules have the priority %d", r.Priority)
		}
		seen[r.Priority] = true
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", r.Priority, err)
		}
	}
	slices.SortFunc(doc.Rules, func(a, b rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return doc.Rules, nil
}

func (r *rule) check() error {
	sel := &r.Selection
	lists := len(sel.TagPrefixList) + len(sel.TagPatternList)
	switch {
	case r.Priority < 1:
		return errors.New("rulePriority must be at least 1")
	case r.Action.Type != "expire":
		return fmt.Errorf("the action %q is not supported; it must be expire", r.Action.Type)
	case sel.TagStatus != "tagged" && sel.TagStatus != "untagged" && sel.TagStatus != "any":
		return fmt.Errorf("tagStatus %q is not tagged, untagged or any", sel.TagStatus)
	case sel.TagStatus == "tagged" && lists == 0:
		return errors.New("tagStatus tagged needs tagPrefixList or tagPatternList")
	case sel.TagStatus != "tagged" && lists > 0:
		return errors.New("tagPrefixList and tagPatternList need tagStatus tagged")
	case len(sel.TagPrefixList) > 0 && len(sel.TagPatternList) > 0:
		return errors.New("tagPrefixList and tagPatternList exclude each other")
	case sel.CountNumber < 1:
		return errors.New("countNumber must be at least 1")
	case sel.CountType == countMoreThan && sel.CountUnit != "":
		return errors.New("imageCountMoreThan has no countUnit")
	case sel.CountType == countPushed && sel.CountUnit != "days":
		return errors.New("sinceImagePushed needs the countUnit days")
	case sel.CountType != countMoreThan && sel.CountType != countPushed:
		return fmt.Errorf("the countType %q is not supported; it must be imageCountMoreThan or sinceImagePushed", sel.CountType)
	}
	return nil
}

// matches tells whether an image meets the tagging requirements of a rule: of
// the prefixes and patterns, every one.
func (r *rule) matches(i image) bool {
	switch r.Selection.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(i.Tags) == 0
	}
	for _, prefix := range r.Selection.TagPrefixList {
		if !slices.ContainsFunc(i.Tags, func(t string) bool { return strings.HasPrefix(t, prefix) }) {
			return false
		}
	}
	for _, pattern := range r.Selection.TagPatternList {
		if !slices.ContainsFunc(i.Tags, func(t string) bool { return wildcard(pattern, t) }) {
			return false
		}
	}
	return true
}

// expiry is an image that is over, and the priority of the rule that says so.
type expiry struct {
	image digest.Digest
	rule  int
}

// planExpiry says which images are over. An image that meets the tagging
// requirements of a rule is decided by it: no rule of a lower priority expires
// it, though it is still counted there. Images that an index lists stay as long
// as the index does.
func planExpiry(rules []rule, images []image, now time.Time) []expiry {
	listed := map[digest.Digest]bool{}
	for _, i := range images {
		for _, child := range i.Manifests {
			listed[child] = true
		}
	}
	newest := slices.Clone(images)
	slices.SortStableFunc(newest, func(a, b image) int { return b.PushedAt.Compare(a.PushedAt) })
	decided := map[digest.Digest]bool{}
	var over []expiry
	for _, r := range rules {
		count := 0
		var mine []digest.Digest
		for _, i := range newest {
			if !r.matches(i) {
				continue
			}
			count++
			mine = append(mine, i.Digest)
			expired := count > r.Selection.CountNumber
			if r.Selection.CountType == countPushed {
				expired = now.Sub(i.PushedAt).Hours() > 24*float64(r.Selection.CountNumber) // the days of a Duration are few
			}
			if expired && !decided[i.Digest] && !listed[i.Digest] {
				over = append(over, expiry{i.Digest, r.Priority})
			}
		}
		for _, d := range mine {
			decided[d] = true
		}
	}
	return over
}
