package pull

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	ecrapi "minato/aws/api/ecr"
)

func TestParseRef(t *testing.T) {
	const ecr = "000000000000.dkr.ecr.eu-west-1.amazonaws.com"
	for _, c := range []struct {
		text                           string
		account, region, repository    string
		tag, digest, host, inReference string
	}{
		{"nginx", "", "", "", "latest", "", "nginx", "latest"},
		{"nginx:1.27", "", "", "", "1.27", "", "nginx", "1.27"},
		{"localhost:5000/a/b", "", "", "", "latest", "", "localhost:5000", "latest"},
		{"public.ecr.aws/x/y:1@sha256:ab", "", "", "", "1", "sha256:ab", "public.ecr.aws", "sha256:ab"},
		{ecr + "/team/web:2", "000000000000", "eu-west-1", "team/web", "2", "", ecr, "2"},
		{ecr + "/web@sha256:cd", "000000000000", "eu-west-1", "web", "", "sha256:cd", ecr, "sha256:cd"},
	} {
		r := ParseRef(c.text)
		if r.Text != c.text || r.Account != c.account || r.Region != c.region || r.Repository != c.repository || r.Tag != c.tag || r.Digest != c.digest || r.Host() != c.host || r.Reference() != c.inReference || r.ECR() != (c.account != "") {
			t.Errorf("%s: %+v", c.text, r)
		}
	}
}

func TestTexts(t *testing.T) {
	r := ParseRef("000000000000.dkr.ecr.us-east-1.amazonaws.com/web:1")
	for _, c := range []struct{ got, want string }{
		{r.NotFound(), "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref " + r.Text + ": " + r.Text + ": not found"},
		{r.Forbidden(), "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref " + r.Text + ": pulling from host 000000000000.dkr.ecr.us-east-1.amazonaws.com failed with status code [manifests 1]: 403 Forbidden"},
		{
			NoWay("us-east-2", "198.18.0.1:443", 3, context.DeadlineExceeded),
			`ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed caused by: Post "https://api.ecr.us-east-2.amazonaws.com/": dial tcp 198.18.0.1:443: i/o timeout. Please check your task network configuration.`,
		},
		{r.Unreached("10.0.0.9:443", context.DeadlineExceeded), `CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref ` + r.Text + `: failed to do request: Head "https://000000000000.dkr.ecr.us-east-1.amazonaws.com/v2/web/manifests/1": dial tcp 10.0.0.9:443: i/o timeout`},
		{r.LayersUnreached("b.s3.us-east-1.amazonaws.com", "198.18.0.3:443", errors.New("connect: connection refused")), `CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://b.s3.us-east-1.amazonaws.com/": dial tcp 198.18.0.3:443: connection refused`},
	} {
		if c.got != c.want {
			t.Errorf("%s\nwant %s", c.got, c.want)
		}
	}
}

// registry is ECR with one index.
type registry struct {
	ecrapi.API
	body string
}

func (r registry) BatchGetImage(context.Context, *ecrapi.BatchGetImageInput) (*ecrapi.BatchGetImageOutput, error) {
	digest := "sha256:index"
	return &ecrapi.BatchGetImageOutput{Images: []ecrapi.Image{{ImageId: &ecrapi.ImageIdentifier{ImageDigest: &digest}, ImageManifest: &r.body}}}, nil
}

func TestArchitectures(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	ref := ParseRef("000000000000.dkr.ecr.us-east-1.amazonaws.com/web:1")
	index := func(archs ...string) string {
		var children []string
		for _, a := range archs {
			children = append(children, fmt.Sprintf(`{"digest":"sha256:x","platform":{"os":"linux","architecture":%q}}`, a))
		}
		return `{"manifests":[` + strings.Join(children, ",") + `]}`
	}
	for _, c := range []struct{ body, arch, want string }{
		{index(runtime.GOARCH), other, NoPlatform(other)},
		{index(runtime.GOARCH, other), other, NoCapacity},
		{index(other), runtime.GOARCH, NoPlatform(runtime.GOARCH)},
		{`{"layers":[]}`, other, ""}, // told when it is unpacked
	} {
		digest, err := Resolve(context.Background(), registry{body: c.body}, ref, c.arch)
		if (err != nil) != (c.want != "") || err != nil && err.Error() != c.want || digest != "sha256:index" {
			t.Errorf("%s for %s: %s, %v, want %s", c.body, c.arch, digest, err, c.want)
		}
	}
	for _, c := range []struct {
		arch  string
		ready bool
		want  string
	}{{runtime.GOARCH, true, ""}, {runtime.GOARCH, false, NoPlatform(runtime.GOARCH)}, {other, true, NoPlatform(other)}, {other, false, NoCapacity}} {
		if got := Unpacked(c.arch, c.ready); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.arch, c.ready, got, c.want)
		}
	}
}

// FuzzParseRef: the parts of a reference are in it, and lead back to it.
func FuzzParseRef(f *testing.F) {
	for _, text := range []string{"nginx", "nginx:1", "localhost:5000/a/b:1@sha256:00", "000000000000.dkr.ecr.us-east-1.amazonaws.com/a/b:v1", "@", ":", "a:b:c", "/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := ParseRef(text)
		base, digest, _ := strings.Cut(text, "@")
		if r.Digest != digest || base != r.name && base != r.name+":" && base != r.name+":"+r.Tag {
			t.Fatalf("%q is read as %+v", text, r)
		}
		if r.ECR() && (len(r.Account) != 12 || r.Region == "" || r.Host() != r.Account+".dkr.ecr."+r.Region+".amazonaws.com") {
			t.Fatalf("%q: %+v", text, r)
		}
		if (r.Tag == "") != (r.Digest != "") && !strings.Contains(text, "@") {
			t.Fatalf("%q names neither tag nor digest: %+v", text, r)
		}
	})
}
