package ecr

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/identity"
	"minato/dataplane/registry"
	"minato/dataplane/registry/registrytest"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store/memstore"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	host    = account + ".dkr.ecr." + region + ".amazonaws.com"
)

// fakeIAM allows callers whatever their list says, and notes what was asked.
type fakeIAM struct {
	allow map[string][]string // by ARN: actions
	asked []gateway.Check
}

func (f *fakeIAM) Authorize(_ context.Context, caller identity.Caller, check gateway.Check) error {
	f.asked = append(f.asked, check)
	if slices.Contains(f.allow[caller.ARN], check.Action) || strings.Contains(check.ResourcePolicy, caller.ARN) {
		return nil
	}
	return aws.Errorf("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s", caller.ARN, check.Action, check.Resource)
}

type world struct {
	*Service
	t     *testing.T
	iam   *fakeIAM
	clock *clock.Fake
	http  *httptest.Server
}

var (
	pull = []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:ListImages"}
	push = append([]string{"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"}, pull...)
)

func open(t *testing.T) *world {
	w := &world{t: t, iam: &fakeIAM{allow: map[string][]string{"admin": push, "reader": pull}}, clock: clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	w.Service = New(Deps{
		Store: memstore.New(), Clock: w.clock, Account: account, Region: region, Authorizer: w.iam,
		OpenRegistry: func(a registry.Authorizer, r registry.Repositories) *registry.Registry {
			return registrytest.Open(t, t.TempDir(), a, r)
		},
	})
	w.http = httptest.NewServer(w.Registry())
	t.Cleanup(w.http.Close)
	return w
}

func as(t *testing.T, who string) context.Context {
	return identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: account, Region: region, ARN: who})
}

func (w *world) create(name string) ecrapi.Repository {
	w.t.Helper()
	out, err := w.CreateRepository(as(w.t, "admin"), &ecrapi.CreateRepositoryInput{RepositoryName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.Repository
}

// token logs in as somebody.
func (w *world) token(who string) string {
	w.t.Helper()
	out, err := w.GetAuthorizationToken(as(w.t, who), &ecrapi.GetAuthorizationTokenInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	d := out.AuthorizationData[0]
	if got := aws.Val(d.ProxyEndpoint); got != "https://"+host {
		w.t.Errorf("proxy endpoint %s", got)
	}
	if want := w.clock.Now().Add(12 * time.Hour); !d.ExpiresAt.Equal(want) {
		w.t.Errorf("expires %s, want %s", d.ExpiresAt, want)
	}
	b, err := base64.StdEncoding.DecodeString(aws.Val(d.AuthorizationToken))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimPrefix(string(b), "AWS:")
}

func (w *world) do(token, method, path, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.http.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	if token != "" {
		req.SetBasicAuth("AWS", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// push pushes an image of one layer over HTTP and returns its digest.
func (w *world) push(repo, layer, tag string) digest.Digest {
	w.t.Helper()
	token := w.token("admin")
	for _, body := range []string{"{}", layer} {
		if status, text := w.do(token, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromString(body).String(), body); status != 201 {
			w.t.Fatalf("push of a layer: %d %s", status, text)
		}
	}
	body := manifest(layer)
	if status, text := w.do(token, "PUT", "/v2/"+repo+"/manifests/"+tag, body); status != 201 {
		w.t.Fatalf("push of the manifest: %d %s", status, text)
	}
	return digest.FromString(body)
}

func manifest(layer string) string {
	b, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest.FromString("{}"), "size": 2},
		"layers": []any{map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest.FromString(layer), "size": len(layer)}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	if !aws.IsCode(err, code) || !strings.Contains(err.Error(), text) {
		t.Errorf("got  %v\nwant %s: %s", err, code, text)
	}
}

func TestRepositoriesInStore(t *testing.T) {
	registrytest.Suite(t, func(t *testing.T, a, b registry.Repository) registry.Repositories {
		w := open(t)
		w.create(a.Name)
		w.create(b.Name)
		return repositories{w.Service}
	})
}

// TestConformance runs the distribution specification's suite against the
// registry as ECR runs it: with tokens, permissions and the store.
func TestConformance(t *testing.T) {
	w := open(t)
	w.create("conformance/a")
	w.create("conformance/b")
	w.iam.allow["admin"] = append([]string{"ecr:BatchDeleteImage"}, push...)
	registrytest.Conformance(t, w.http.URL, w.token("admin"), "conformance/a", "conformance/b")
}

func TestRepository(t *testing.T) {
	w, ctx := open(t), as(t, "admin")
	r := w.create("chat")
	if got := aws.Val(r.RepositoryUri); got != host+"/chat" {
		t.Errorf("uri %s", got)
	}
	if got := aws.Val(r.RepositoryArn); got != "arn:aws:ecr:us-east-1:000000000000:repository/chat" {
		t.Errorf("arn %s", got)
	}
	_, err := w.CreateRepository(ctx, &ecrapi.CreateRepositoryInput{RepositoryName: aws.Ptr("chat")})
	wantError(t, err, "RepositoryAlreadyExistsException", "The repository with name 'chat' already exists in the registry with id '000000000000'")
	_, err = w.DescribeRepositories(ctx, &ecrapi.DescribeRepositoriesInput{RepositoryNames: []string{"nope"}})
	wantError(t, err, "RepositoryNotFoundException", "The repository with name 'nope' does not exist in the registry with id '000000000000'")
	_, err = w.CreateRepository(ctx, &ecrapi.CreateRepositoryInput{RepositoryName: aws.Ptr("secret"), EncryptionConfiguration: &ecrapi.EncryptionConfiguration{EncryptionType: aws.Ptr("KMS")}})
	wantError(t, err, "InvalidParameterException", "AES256")

	for i := range 4 {
		w.create(fmt.Sprintf("team/%d", i))
	}
	var names []string
	in := &ecrapi.DescribeRepositoriesInput{MaxResults: aws.Ptr(int32(2))}
	for {
		out, err := w.DescribeRepositories(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Repositories {
			names = append(names, aws.Val(r.RepositoryName))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if want := []string{"chat", "team/0", "team/1", "team/2", "team/3"}; !slices.Equal(names, want) {
		t.Errorf("pages give %v", names)
	}
}

func TestDeleteRepository(t *testing.T) {
	w, ctx := open(t), as(t, "admin")
	w.create("chat")
	d := w.push("chat", "layer", "latest")
	_, err := w.DeleteRepository(ctx, &ecrapi.DeleteRepositoryInput{RepositoryName: aws.Ptr("chat")})
	wantError(t, err, "RepositoryNotEmptyException", "The repository with name 'chat' in registry with id '000000000000' cannot be deleted because it still contains images")
	if _, err := w.DeleteRepository(ctx, &ecrapi.DeleteRepositoryInput{RepositoryName: aws.Ptr("chat"), Force: aws.Ptr(true)}); err != nil {
		t.Fatal(err)
	}
	w.create("chat")
	if out, err := w.ListImages(ctx, &ecrapi.ListImagesInput{RepositoryName: aws.Ptr("chat")}); err != nil || len(out.ImageIds) != 0 {
		t.Errorf("the new repository of the name has the old one's images: %v, %v", out, err)
	}
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	members, err := (repositories{w.Service}).Members(t.Context())
	if err != nil || len(members) != 0 {
		t.Errorf("after the sweep there are %v, %v", members, err)
	}
	if keys, err := w.images.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("records of %s are left: %v, %v", d, keys, err)
	}
	if _, err := w.DeleteRepository(ctx, &ecrapi.DeleteRepositoryInput{RepositoryName: aws.Ptr("chat")}); err != nil {
		t.Errorf("deleting an empty repository: %v", err)
	}
}

func TestImages(t *testing.T) {
	w, ctx, chat := open(t), as(t, "admin"), aws.Ptr("chat")
	w.create("chat")
	one := w.push("chat", "one", "v1")
	w.push("chat", "one", "latest")
	two := w.push("chat", "two", "latest") // takes the tag

	out, err := w.DescribeImages(ctx, &ecrapi.DescribeImagesInput{RepositoryName: chat, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: aws.Ptr("latest")}}})
	if err != nil || len(out.ImageDetails) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	if d := out.ImageDetails[0]; aws.Val(d.ImageDigest) != two.String() || !slices.Equal(d.ImageTags, []string{"latest"}) || aws.Val(d.ImageSizeInBytes) != 3 {
		t.Errorf("latest is %s %v of %d bytes", aws.Val(d.ImageDigest), d.ImageTags, aws.Val(d.ImageSizeInBytes))
	}
	_, err = w.DescribeImages(ctx, &ecrapi.DescribeImagesInput{RepositoryName: chat, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: aws.Ptr("nope")}}})
	wantError(t, err, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'nope'} does not exist within the repository with name 'chat' in the registry with id '000000000000'")

	got, err := w.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{RepositoryName: chat, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: aws.Ptr("v1")}, {ImageTag: aws.Ptr("nope")}, {}}})
	if err != nil || len(got.Images) != 1 || aws.Val(got.Images[0].ImageManifest) != manifest("one") || len(got.Failures) != 2 || aws.Val(got.Failures[0].FailureCode) != "ImageNotFound" {
		t.Errorf("got %+v, %v", got, err)
	}

	put := &ecrapi.PutImageInput{RepositoryName: chat, ImageManifest: aws.Ptr(manifest("one")), ImageTag: aws.Ptr("v2")}
	if _, err := w.PutImage(ctx, put); err != nil {
		t.Errorf("tagging by PutImage: %v", err)
	}
	_, err = w.PutImage(ctx, put)
	wantError(t, err, "ImageAlreadyExistsException", "Image with digest '"+one.String()+"' and tag 'v2' already exists")
	_, err = w.PutImage(ctx, &ecrapi.PutImageInput{RepositoryName: chat, ImageManifest: aws.Ptr(manifest("not pushed")), ImageTag: aws.Ptr("v3")})
	wantError(t, err, "LayersNotFoundException", digest.FromString("not pushed").String())

	// A tag of several goes alone; the last one takes the image with it.
	for _, step := range []struct {
		tag  string
		left int
	}{{"v2", 2}, {"v1", 1}} {
		if out, err := w.BatchDeleteImage(ctx, &ecrapi.BatchDeleteImageInput{RepositoryName: chat, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: &step.tag}}}); err != nil || len(out.ImageIds) != 1 || len(out.Failures) != 0 {
			t.Errorf("delete %s: %+v, %v", step.tag, out, err)
		}
		if out, err := w.ListImages(ctx, &ecrapi.ListImagesInput{RepositoryName: chat}); err != nil || len(out.ImageIds) != step.left {
			t.Errorf("left after %s: %+v, %v", step.tag, out, err)
		}
	}
}

// TestManyTags deletes an image with more tags than one transaction can.
func TestManyTags(t *testing.T) {
	w, ctx, chat := open(t), as(t, "admin"), aws.Ptr("chat")
	w.create("chat")
	d := w.push("chat", "one", "first")
	for i := range 150 {
		if _, err := w.PutImage(ctx, &ecrapi.PutImageInput{RepositoryName: chat, ImageManifest: aws.Ptr(manifest("one")), ImageTag: aws.Ptr(fmt.Sprintf("tag-%03d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := w.BatchDeleteImage(ctx, &ecrapi.BatchDeleteImageInput{RepositoryName: chat, ImageIds: []ecrapi.ImageIdentifier{{ImageDigest: aws.Ptr(d.String())}}})
	if err != nil || len(out.ImageIds) != 151 {
		t.Fatalf("%d deleted, %v", len(out.ImageIds), err)
	}
	w.push("chat", "one", "again")
	list, err := w.ListImages(ctx, &ecrapi.ListImagesInput{RepositoryName: chat})
	if err != nil || len(list.ImageIds) != 1 {
		t.Errorf("the image came back with %d tags, %v", len(list.ImageIds), err)
	}
	if status, _ := w.do(w.token("admin"), "GET", "/v2/chat/manifests/tag-149", ""); status != 404 {
		t.Errorf("a deleted tag answers %d", status)
	}
}

func TestImageOfAnIndexIsKept(t *testing.T) {
	w, ctx := open(t), as(t, "admin")
	w.create("chat")
	child := w.push("chat", "one", "amd64")
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + child.String() + `","size":1}]}`
	if status, text := w.do(w.token("admin"), "PUT", "/v2/chat/manifests/latest", index); status != 201 {
		t.Fatalf("push of an index: %d %s", status, text)
	}
	out, err := w.BatchDeleteImage(ctx, &ecrapi.BatchDeleteImageInput{RepositoryName: aws.Ptr("chat"), ImageIds: []ecrapi.ImageIdentifier{{ImageDigest: aws.Ptr(child.String())}}})
	if err != nil || len(out.Failures) != 1 || aws.Val(out.Failures[0].FailureCode) != "ImageReferencedByManifestList" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestImmutableTags(t *testing.T) {
	w, ctx := open(t), as(t, "admin")
	w.create("chat")
	w.push("chat", "one", "v1")
	w.push("chat", "one", "dev-1")
	if _, err := w.PutImageTagMutability(ctx, &ecrapi.PutImageTagMutabilityInput{
		RepositoryName: aws.Ptr("chat"), ImageTagMutability: aws.Ptr("IMMUTABLE_WITH_EXCLUSION"),
		ImageTagMutabilityExclusionFilters: []ecrapi.ImageTagMutabilityExclusionFilter{{Filter: aws.Ptr("dev-*"), FilterType: aws.Ptr("WILDCARD")}},
	}); err != nil {
		t.Fatal(err)
	}
	w.push("chat", "two", "dev-1")
	status, text := w.do(w.token("admin"), "PUT", "/v2/chat/manifests/v1", manifest("two"))
	if status != 400 || !strings.Contains(text, "The image tag 'v1' already exists in the 'chat' repository and cannot be overwritten because the repository is immutable.") {
		t.Errorf("%d %s", status, text)
	}
}

func TestLogin(t *testing.T) {
	w := open(t)
	w.create("chat")
	w.push("chat", "layer", "latest")
	path := "/v2/chat/manifests/latest"
	if status, text := w.do("", "GET", path, ""); status != 401 || !strings.Contains(text, "no basic auth credentials") {
		t.Errorf("without a token: %d %s", status, text)
	}
	if status, _ := w.do("bm8gdG9rZW4=", "GET", path, ""); status != 401 {
		t.Errorf("with something else than a token: %d", status)
	}
	reader := w.token("reader")
	if status, text := w.do(reader, "GET", path, ""); status != 200 {
		t.Errorf("a reader: %d %s", status, text)
	}
	if status, text := w.do(reader, "POST", "/v2/chat/blobs/uploads/", ""); status != 403 || !strings.Contains(text, "User: reader is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:us-east-1:000000000000:repository/chat") {
		t.Errorf("a reader pushes: %d %s", status, text)
	}
	if status, text := w.do(w.token("admin"), "GET", "/v2/other/manifests/latest", ""); status != 404 || !strings.Contains(text, "The repository with name 'other' does not exist in the registry with id '000000000000'") {
		t.Errorf("an unknown repository: %d %s", status, text)
	}
	w.iam.allow["reader"] = nil
	if status, _ := w.do(reader, "GET", path, ""); status != 403 {
		t.Errorf("a right that was taken still holds: %d", status)
	}
	token := w.token("admin")
	w.clock.Advance(12*time.Hour + time.Second)
	if status, text := w.do(token, "GET", path, ""); status != 403 || !strings.Contains(text, "Your authorization token has expired. Reauthenticate and try again.") {
		t.Errorf("an old token: %d %s", status, text)
	}
}

func TestTokenCannotBeForged(t *testing.T) {
	w := open(t)
	b, err := base64.StdEncoding.DecodeString(w.token("reader"))
	if err != nil {
		t.Fatal(err)
	}
	var p password
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	p.Payload[len(p.Payload)/2] ^= 1
	if b, err = json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	if caller, err := w.openToken(t.Context(), base64.StdEncoding.EncodeToString(b), ""); err == nil {
		t.Errorf("a changed token stands for %v", caller)
	}
}

// TestLayersByTheAPI uploads a layer by the API and fetches it by a URL.
func TestLayersByTheAPI(t *testing.T) {
	w, ctx, chat := open(t), as(t, "admin"), aws.Ptr("chat")
	w.create("chat")
	layer := []byte("first second")
	d := digest.FromBytes(layer).String()
	up, err := w.InitiateLayerUpload(ctx, &ecrapi.InitiateLayerUploadInput{RepositoryName: chat})
	if err != nil {
		t.Fatal(err)
	}
	part := func(first, last int64) error {
		_, err := w.UploadLayerPart(ctx, &ecrapi.UploadLayerPartInput{RepositoryName: chat, UploadId: up.UploadId, PartFirstByte: &first, PartLastByte: &last, LayerPartBlob: layer[first : last+1]})
		return err
	}
	if err := part(0, 5); err != nil {
		t.Fatal(err)
	}
	wantError(t, part(8, 11), "InvalidLayerPartException", "does not begin where the upload")
	if err := part(6, 11); err != nil {
		t.Fatal(err)
	}
	done := &ecrapi.CompleteLayerUploadInput{RepositoryName: chat, UploadId: up.UploadId, LayerDigests: []string{d}}
	if out, err := w.CompleteLayerUpload(ctx, done); err != nil || aws.Val(out.LayerDigest) != d {
		t.Fatalf("%v, %v", out, err)
	}
	_, err = w.CompleteLayerUpload(ctx, done)
	wantError(t, err, "LayerAlreadyExistsException", d)
	wantError(t, part(0, 5), "UploadNotFoundException", aws.Val(up.UploadId))
	if out, err := w.BatchCheckLayerAvailability(ctx, &ecrapi.BatchCheckLayerAvailabilityInput{RepositoryName: chat, LayerDigests: []string{d, digest.FromString("x").String(), "x"}}); err != nil ||
		aws.Val(out.Layers[0].LayerAvailability) != "AVAILABLE" || aws.Val(out.Layers[1].LayerAvailability) != "UNAVAILABLE" || len(out.Failures) != 1 {
		t.Errorf("%+v, %v", out, err)
	}

	got, err := w.GetDownloadUrlForLayer(ctx, &ecrapi.GetDownloadUrlForLayerInput{RepositoryName: chat, LayerDigest: &d})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(aws.Val(got.DownloadUrl), "https://"+host)
	if status, body := w.do("", "GET", path, ""); status != 200 || body != string(layer) {
		t.Errorf("the URL gives %d %q", status, body)
	}
	_, token, _ := strings.Cut(path, "?")
	if status, _ := w.do("", "GET", "/v2/chat/blobs/"+digest.FromString("x").String()+"?"+token, ""); status != 403 {
		t.Errorf("the token of a URL opens another: %d", status)
	}
	w.clock.Advance(time.Hour)
	if status, _ := w.do("", "GET", path, ""); status != 403 {
		t.Errorf("the URL outlives its hour: %d", status)
	}
}

func TestRepositoryPolicyIsAsked(t *testing.T) {
	w, ctx := open(t), as(t, "admin")
	w.create("chat")
	w.push("chat", "layer", "latest")
	stranger := "arn:aws:iam::111111111111:user/stranger"
	token := w.token(stranger)
	if status, _ := w.do(token, "GET", "/v2/chat/manifests/latest", ""); status != 403 {
		t.Errorf("a stranger: %d", status)
	}
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + stranger + `"},"Action":"ecr:BatchGetImage"}]}`
	if _, err := w.SetRepositoryPolicy(ctx, &ecrapi.SetRepositoryPolicyInput{RepositoryName: aws.Ptr("chat"), PolicyText: &text}); err != nil {
		t.Fatal(err)
	}
	if status, _ := w.do(token, "GET", "/v2/chat/manifests/latest", ""); status != 200 {
		t.Errorf("a stranger whom the repository's policy names: %d", status)
	}
	if _, err := w.DeleteRepositoryPolicy(ctx, &ecrapi.DeleteRepositoryPolicyInput{RepositoryName: aws.Ptr("chat")}); err != nil {
		t.Fatal(err)
	}
	_, err := w.GetRepositoryPolicy(ctx, &ecrapi.GetRepositoryPolicyInput{RepositoryName: aws.Ptr("chat")})
	wantError(t, err, "RepositoryPolicyNotFoundException", "Repository policy does not exist for the repository with name 'chat' in the registry with id '000000000000'")
	_, err = w.SetRepositoryPolicy(ctx, &ecrapi.SetRepositoryPolicyInput{RepositoryName: aws.Ptr("chat"), PolicyText: aws.Ptr("{")})
	wantError(t, err, "InvalidParameterException", "Invalid repository policy provided")
}

func TestTags(t *testing.T) {
	w, ctx := open(t), as(t, "admin")
	resource := w.create("chat").RepositoryArn
	if _, err := w.TagResource(ctx, &ecrapi.TagResourceInput{ResourceArn: resource, Tags: []ecrapi.Tag{{Key: aws.Ptr("a"), Value: aws.Ptr("1")}, {Key: aws.Ptr("b"), Value: aws.Ptr("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UntagResource(ctx, &ecrapi.UntagResourceInput{ResourceArn: resource, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if out, err := w.ListTagsForResource(ctx, &ecrapi.ListTagsForResourceInput{ResourceArn: resource}); err != nil || len(out.Tags) != 1 || aws.Val(out.Tags[0].Key) != "b" {
		t.Errorf("tags %v, %v", out, err)
	}
	checks := w.checks(ctx, ecrapi.Model.Operations["DeleteRepository"], &ecrapi.DeleteRepositoryInput{RepositoryName: aws.Ptr("chat")})
	if len(checks) != 1 || checks[0].Resource != aws.Val(resource) || !slices.Equal(checks[0].Context["aws:ResourceTag/b"], []string{"2"}) {
		t.Errorf("checks %+v", checks)
	}
}

func TestEveryOperationHasATarget(t *testing.T) {
	for name, op := range ecrapi.Model.Operations {
		if _, names := target(as(t, "admin"), op.NewInput()); names == nil && !slices.Contains([]string{"GetAuthorizationToken", "DescribeRegistry", "GetRegistryScanningConfiguration"}, name) {
			t.Errorf("%s is authorized without its repository", name)
		}
	}
}
