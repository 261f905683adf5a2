package explain

import (
	"fmt"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/ecr"
	"minato/explain/cause"
	"minato/gateway"
)

// repository explains an ECR repository: what it has, and what kept anybody from
// pushing to it since.
func (q *inquiry) repository(name string) (*Explanation, error) {
	out, err := q.ECR.DescribeRepositories(q.ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}})
	if err != nil || len(out.Repositories) == 0 {
		if err == nil || notFound(err) || aws.IsCode(err, "InvalidParameterException") {
			return nil, absent("repository", name)
		}
		return nil, err
	}
	r := out.Repositories[0]
	images, err := q.ECR.DescribeImages(q.ctx, &ecr.DescribeImagesInput{RepositoryName: &name})
	if err != nil {
		return nil, err
	}
	var pushed time.Time
	var tags []string
	for _, i := range images.ImageDetails {
		tags = append(tags, i.ImageTags...)
		if at := aws.Val(i.ImagePushedAt); at.After(pushed) {
			pushed = at
		}
	}
	f := cause.Findings{Proof: []string{aws.Val(r.RepositoryUri) + " has no image yet"}}
	if len(images.ImageDetails) > 0 {
		f.Proof = []string{fmt.Sprintf("%s has images (%d), the last pushed at %s; tags: %s", aws.Val(r.RepositoryUri), len(images.ImageDetails), pushed.Local().Format("15:04:05"), strings.Join(tags[:min(len(tags), tagsShown)], ", "))}
	}
	host, _, _ := strings.Cut(aws.Val(r.RepositoryUri), "/")
	var list []gateway.Refusal
	for _, x := range q.Refusals() {
		about := strings.HasPrefix(x.Action, "registry:") && (mentions(x, name) || x.Action == "registry:Login" && mentions(x, host)) || strings.HasPrefix(x.Action, "ecr:") && mentions(x, name)
		if about && x.At.After(pushed) {
			list = append(list, x)
		}
	}
	if f.Causes, err = q.refusals(list[:min(latelyShown, len(list))]); err != nil {
		return nil, err
	}
	e := &Explanation{Subject: aws.Val(r.RepositoryArn), Kind: "repository", Name: "repository:" + name}
	// Who got no login may have wanted to push somewhere else.
	if e.Refused, err = q.denied("ecr:GetAuthorizationToken"); err != nil {
		return nil, err
	}
	return e.conclude(f, "the repository is there, and no push or pull was refused since its last image"), nil
}
