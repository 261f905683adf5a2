package ecr

import (
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/dataplane/registry"
)

func TestPlanExpiry(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	at := func(name string, days int, tags ...string) image {
		return image{registry.Manifest{Digest: digest.Digest(name), PushedAt: now.AddDate(0, 0, -days)}, tags}
	}
	images := []image{at("old", 30, "prod-1"), at("untagged", 5), at("mid", 10, "prod-2", "dev-2"), at("new", 1, "dev-3")}
	for _, c := range []struct {
		name, policy string
		want         []digest.Digest
	}{
		{"by count", `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2},"action":{"type":"expire"}}]}`, []digest.Digest{"mid", "old"}},
		{"by age", `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":7},"action":{"type":"expire"}}]}`, []digest.Digest{"mid", "old"}},
		{"untagged", `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}]}`, []digest.Digest{"untagged"}},
		{"every prefix must be there", `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["prod-","dev-"],"countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}]}`, []digest.Digest{"mid"}},
		{"a rule of a higher priority decides", `{"rules":[{"rulePriority":2,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}},{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["prod*"],"countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}`, []digest.Digest{"untagged"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, err := parseLifecycle(c.policy)
			if err != nil {
				t.Fatal(err)
			}
			var got []digest.Digest
			for _, e := range planExpiry(rules, images, now) {
				got = append(got, e.image)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("over are %v, want %v", got, c.want)
			}
		})
	}
}

// A preview says what a policy would do and does nothing.
func TestLifecyclePreview(t *testing.T) {
	w, ctx, chat := open(t), as(t, "admin"), aws.Ptr("chat")
	w.create("chat")
	w.push("chat", "one", "v1")
	w.push("chat", "two", "v2")
	policy := `{"rules":[{"rulePriority":3,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`
	code := func(_ any, err error) string {
		if err == nil {
			return ""
		}
		return aws.AsError(err).Code
	}
	get := &ecrapi.GetLifecyclePolicyPreviewInput{RepositoryName: chat}
	if got := code(w.GetLifecyclePolicyPreview(ctx, get)); got != "LifecyclePolicyPreviewNotFoundException" {
		t.Error(got)
	}
	if got := code(w.StartLifecyclePolicyPreview(ctx, &ecrapi.StartLifecyclePolicyPreviewInput{RepositoryName: chat})); got != "LifecyclePolicyNotFoundException" {
		t.Error(got)
	}
	if got := code(w.StartLifecyclePolicyPreview(ctx, &ecrapi.StartLifecyclePolicyPreviewInput{RepositoryName: chat, LifecyclePolicyText: aws.Ptr(`{"rules":[]}`)})); got != "InvalidParameterException" {
		t.Error(got)
	}
	if got := code(w.StartLifecyclePolicyPreview(ctx, &ecrapi.StartLifecyclePolicyPreviewInput{RepositoryName: chat, LifecyclePolicyText: &policy})); got != "" {
		t.Fatal(got)
	}
	out, err := w.GetLifecyclePolicyPreview(ctx, get)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.PreviewResults) != 1 || *out.PreviewResults[0].AppliedRulePriority != 3 || *out.Summary.ExpiringImageTotalCount != 1 || *out.Status != "COMPLETE" {
		t.Errorf("%+v", out)
	}
	get.Filter = &ecrapi.LifecyclePolicyPreviewFilter{TagStatus: aws.Ptr("UNTAGGED")}
	if out, err := w.GetLifecyclePolicyPreview(ctx, get); err != nil || len(out.PreviewResults) != 0 {
		t.Errorf("%+v %v", out, err)
	}
	all, err := w.DescribeImages(ctx, &ecrapi.DescribeImagesInput{RepositoryName: chat})
	if err != nil || len(all.ImageDetails) != 2 {
		t.Errorf("%+v %v", all, err)
	}
	if got := code(w.PutImage(ctx, &ecrapi.PutImageInput{RepositoryName: chat, ImageManifest: aws.Ptr("{}"), ImageTag: aws.Ptr("-x")})); got != "InvalidParameterException" {
		t.Error(got)
	}
}

func TestLifecycleIsApplied(t *testing.T) {
	w, ctx, chat := open(t), as(t, "admin"), aws.Ptr("chat")
	w.create("chat")
	w.push("chat", "one", "v1")
	w.push("chat", "two", "v1")
	text := `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`
	if _, err := w.PutLifecyclePolicy(ctx, &ecrapi.PutLifecyclePolicyInput{RepositoryName: chat, LifecyclePolicyText: &text}); err != nil {
		t.Fatal(err)
	}
	w.push("chat", "three", "v1")
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := w.ListImages(ctx, &ecrapi.ListImagesInput{RepositoryName: chat}); err != nil || len(out.ImageIds) != 2 {
		t.Errorf("left %+v, %v", out, err)
	}
	if out, err := w.GetLifecyclePolicy(ctx, &ecrapi.GetLifecyclePolicyInput{RepositoryName: chat}); err != nil || out.LastEvaluatedAt == nil {
		t.Errorf("policy %+v, %v", out, err)
	}
	for _, bad := range []string{"{", `{"rules":[]}`, `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`} {
		_, err := w.PutLifecyclePolicy(ctx, &ecrapi.PutLifecyclePolicyInput{RepositoryName: chat, LifecyclePolicyText: &bad})
		wantError(t, err, "InvalidParameterException", "LifecyclePolicyText")
	}
}

// FuzzLifecycle: a policy that is taken expires images once each, and none for
// its age that is a second old.
func FuzzLifecycle(f *testing.F) {
	f.Add(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`)
	f.Add(`{"rules":[{"rulePriority":2,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],"countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}`)
	f.Add(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":200000},"action":{"type":"expire"}}]}`)
	f.Add(`{"rules":[]} x`)
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	images := []image{
		{registry.Manifest{Digest: "a", PushedAt: now.Add(-time.Second)}, []string{"v1"}},
		{registry.Manifest{Digest: "b", PushedAt: now.Add(-time.Second)}, nil},
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := parseLifecycle(text)
		if err != nil {
			return
		}
		byCount := slices.ContainsFunc(rules, func(r rule) bool { return r.Selection.CountType == countMoreThan })
		seen := map[digest.Digest]bool{}
		for _, e := range planExpiry(rules, images, now) {
			d := e.image
			if seen[d] || !byCount {
				t.Fatalf("%s expires: twice %v, by count %v", d, seen[d], byCount)
			}
			seen[d] = true
		}
	})
}
