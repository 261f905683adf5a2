package elbv2

import (
	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
	"minato/dataplane/proxy/rewrite"
)

// maxReplacement is how long the text may be that a transform puts in.
const maxReplacement = 1024

// checkTransforms checks a rule's transforms.
func checkTransforms(all []elbapi.RuleTransform) error {
	seen := map[string]bool{}
	for i := range all {
		t := aws.Val(all[i].Type)
		if seen[t] {
			return invalid("A rule can only have one '%s' transform", t)
		}
		seen[t] = true
		rewrites, err := rewritesOf(&all[i])
		switch {
		case err != nil:
			return err
		case len(rewrites) != 1:
			return invalid("A '%s' transform must have exactly one rewrite", t)
		case aws.Val(rewrites[0].Regex) == "" || len(*rewrites[0].Regex) > maxReplacement || len(aws.Val(rewrites[0].Replace)) > maxReplacement:
			return invalid("The regular expression of a '%s' transform must have between '1' and '%d' characters, its replacement at most as many", t, maxReplacement)
		}
	}
	if _, err := rewrite.Compile(planTransforms(all)); err != nil {
		return invalid("The transforms are not valid: %s", err)
	}
	return nil
}

// rewritesOf are what a transform has of its own type.
func rewritesOf(t *elbapi.RuleTransform) ([]elbapi.RewriteConfig, error) {
	host, url := t.HostHeaderRewriteConfig, t.UrlRewriteConfig
	switch aws.Val(t.Type) {
	case elbapi.TransformTypeEnumHostHeaderRewrite:
		if url != nil {
			return nil, invalid("'UrlRewriteConfig' cannot be specified for transform type '%s'", *t.Type)
		}
		if host != nil {
			return host.Rewrites, nil
		}
	case elbapi.TransformTypeEnumUrlRewrite:
		if host != nil {
			return nil, invalid("'HostHeaderRewriteConfig' cannot be specified for transform type '%s'", *t.Type)
		}
		if url != nil {
			return url.Rewrites, nil
		}
	}
	return nil, nil
}

// planTransforms are a rule's transforms for the data plane; nil when it has none.
func planTransforms(all []elbapi.RuleTransform) *proxy.Rewrite {
	if len(all) == 0 {
		return nil
	}
	out := &proxy.Rewrite{}
	for i := range all {
		rewrites, _ := rewritesOf(&all[i]) // checked when it was set
		for _, w := range rewrites {
			s := &proxy.Substitution{Regex: aws.Val(w.Regex), Replace: aws.Val(w.Replace)}
			if aws.Val(all[i].Type) == elbapi.TransformTypeEnumHostHeaderRewrite {
				out.Host = s
			} else {
				out.URL = s
			}
		}
	}
	return out
}

// transforms refuses transforms where no target gets the request.
func (r *rule) transforms() error {
	if len(r.Transforms) > 0 && len(forwardsTo(r.Actions)) == 0 {
		return notServed("Transforms of a rule whose action is not 'forward'")
	}
	return nil
}
