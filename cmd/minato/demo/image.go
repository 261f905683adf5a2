package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const powerUser = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser"

// pushImage makes a repository and pushes the chat as an IAM user, who first
// has no right to log in.
func (j *journey) pushImage(ctx context.Context) error {
	var repo struct {
		Repository struct{ RepositoryUri string } `json:"repository"`
	}
	if err := j.aws(ctx, &repo, "ecr", "create-repository", "--repository-name", "chat"); err != nil {
		return err
	}
	j.repo = repo.Repository.RepositoryUri
	j.made = append(j.made, "the repository "+j.repo)
	if err := j.aws(ctx, nil, "iam", "create-user", "--user-name", "learner"); err != nil {
		return err
	}
	var key struct {
		AccessKey struct{ AccessKeyId, SecretAccessKey string }
	}
	if err := j.aws(ctx, &key, "iam", "create-access-key", "--user-name", "learner"); err != nil {
		return err
	}
	j.key = accessKey{key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey}
	j.made = append(j.made, "the user learner")

	j.ui.call("aws ecr get-login-password | skopeo login --username AWS --password-stdin " + registry(j.repo))
	_, err := j.password(ctx)
	var f failed
	switch {
	case err == nil:
		return errors.New("a user without rights got a login")
	case !errors.As(err, &f):
		return err
	}
	j.ui.wall(f.text)
	j.ui.say("The user may do nothing yet. AWS's instructions do not mention it; the policy that helps is AmazonEC2ContainerRegistryPowerUser.")
	if err := j.aws(ctx, nil, "iam", "attach-user-policy", "--user-name", "learner", "--policy-arn", powerUser); err != nil {
		return err
	}
	if err := j.login(ctx); err != nil {
		return err
	}
	// The learner's copy of the source: the last chapter edits it.
	if err := os.CopyFS(filepath.Join(j.work, "chat"), os.DirFS(filepath.Join(j.Source, "chat"))); err != nil {
		return err
	}
	return j.buildAndPush(ctx)
}

func registry(repo string) string {
	host, _, _ := strings.Cut(repo, "/")
	return host
}

// password asks for a login as the learner.
func (j *journey) password(ctx context.Context) (string, error) {
	out, err := j.output(ctx, []string{"AWS_ACCESS_KEY_ID=" + j.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + j.key.SecretAccessKey}, "",
		"aws", "--endpoint-url", j.endpoint(), "ecr", "get-login-password")
	return strings.TrimSpace(string(out)), err
}

func (j *journey) login(ctx context.Context) error {
	return j.timed("logged in to "+registry(j.repo), func() error {
		password, err := j.password(ctx)
		if err != nil {
			return err
		}
		_, err = j.output(ctx, nil, password, "skopeo", "login", "-u", "AWS", "--password-stdin", registry(j.repo))
		return err
	})
}

// buildAndPush builds the learner's source and pushes it as latest.
func (j *journey) buildAndPush(ctx context.Context) error {
	archive := filepath.Join(j.work, "image.tar")
	j.ui.call(fmt.Sprintf("minato build -t %s:latest -o image.tar chat", j.repo))
	if err := j.timed("the image is built", func() error {
		_, err := j.output(ctx, nil, "", j.Self, "build", "--data-dir", j.DataDir, "-t", j.repo+":latest", "-o", archive, filepath.Join(j.work, "chat"))
		return err
	}); err != nil {
		return err
	}
	j.ui.call(fmt.Sprintf("skopeo copy oci-archive:image.tar docker://%s:latest", j.repo))
	return j.timed("the image is pushed", func() error {
		_, err := j.output(ctx, nil, "", "skopeo", "copy", "-q", "oci-archive:"+archive, "docker://"+j.repo+":latest")
		return err
	})
}
