package s3_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"pgregory.net/rapid"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/gateway"
	"minato/store"
)

// kept is a version as the model has it.
type kept struct {
	id, content string
	marker      bool
}

// model is a bucket as S3 describes it: of each key a list, the newest first.
type model struct {
	state string
	keys  map[string][]kept
}

func (m *model) dropNull(key string) {
	m.keys[key] = slices.DeleteFunc(m.keys[key], func(k kept) bool { return k.id == "null" })
}

// add makes a version current; id is what S3 called it.
func (m *model) add(key string, k kept) {
	if m.state != api.BucketVersioningStatusEnabled {
		m.dropNull(key)
	}
	m.keys[key] = append([]kept{k}, m.keys[key]...)
}

// listed is what a listing of all versions says.
func (m *model) listed() (out []string) {
	keys := make([]string, 0, len(m.keys))
	for k := range m.keys {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, key := range keys {
		for i, k := range m.keys[key] {
			out = append(out, fmt.Sprint(key, " ", k.id, " ", k.marker, " ", i == 0))
		}
	}
	return out
}

// TestVersionsModel holds a bucket to the model, whatever is done to it.
func TestVersionsModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := open(t)
		ctx := gateway.AsRoot(t.Context(), account, "us-east-1")
		name := aws.Ptr("logs")
		check := func(err error) {
			if err != nil {
				r.Fatal(err)
			}
		}
		_, err := w.CreateBucket(ctx, &api.CreateBucketInput{Bucket: name})
		check(err)
		m := &model{keys: map[string][]kept{}}
		key := rapid.SampledFrom([]string{"a", "a/b", "b"})
		pick := func(r *rapid.T, k string) string {
			ids := []string{"null", strings.Repeat("0", 32)}
			for _, v := range m.keys[k] {
				ids = append(ids, v.id, v.id)
			}
			return rapid.SampledFrom(ids).Draw(r, "id")
		}
		written := 0
		r.Repeat(map[string]func(*rapid.T){
			"versioning": func(r *rapid.T) {
				m.state = rapid.SampledFrom([]string{api.BucketVersioningStatusEnabled, api.BucketVersioningStatusSuspended}).Draw(r, "state")
				_, err := w.PutBucketVersioning(ctx, &api.PutBucketVersioningInput{Bucket: name, VersioningConfiguration: &api.VersioningConfiguration{Status: &m.state}})
				check(err)
			},
			"put": func(r *rapid.T) {
				k := key.Draw(r, "key")
				written++
				v := kept{id: "null", content: fmt.Sprint("content ", written)}
				out, err := w.PutObject(ctx, &api.PutObjectInput{Bucket: name, Key: &k, Body: io.NopCloser(strings.NewReader(v.content))})
				check(err)
				if (out.VersionId == nil) != (m.state == "") || (aws.Val(out.VersionId) == "null") != (m.state == api.BucketVersioningStatusSuspended) {
					r.Fatalf("version %v where versioning is %q", out.VersionId, m.state)
				}
				if out.VersionId != nil {
					v.id = *out.VersionId
				}
				m.add(k, v)
			},
			"copy": func(r *rapid.T) {
				from, to := key.Draw(r, "from"), key.Draw(r, "to")
				id := pick(r, from)
				at := slices.IndexFunc(m.keys[from], func(k kept) bool { return k.id == id })
				out, err := w.CopyObject(ctx, &api.CopyObjectInput{Bucket: name, Key: &to, CopySource: aws.Ptr("logs/" + from + "?versionId=" + id)})
				switch {
				case at < 0:
					if !aws.IsCode(err, "NoSuchVersion") {
						r.Fatalf("copied what is not there: %v", err)
					}
				case m.keys[from][at].marker:
					if !aws.IsCode(err, "InvalidRequest") {
						r.Fatalf("copied a marker: %v", err)
					}
				default:
					check(err)
					v := kept{id: "null", content: m.keys[from][at].content}
					if out.VersionId != nil {
						v.id = *out.VersionId
					}
					m.add(to, v)
				}
			},
			"delete": func(r *rapid.T) {
				k := key.Draw(r, "key")
				out, err := w.DeleteObject(ctx, &api.DeleteObjectInput{Bucket: name, Key: &k})
				check(err)
				if m.state == "" {
					delete(m.keys, k)
					return
				}
				if !aws.Val(out.DeleteMarker) || out.VersionId == nil {
					r.Fatalf("deleted: %+v", out)
				}
				m.add(k, kept{id: *out.VersionId, marker: true})
			},
			"delete version": func(r *rapid.T) {
				k := key.Draw(r, "key")
				id := pick(r, k)
				at := slices.IndexFunc(m.keys[k], func(k kept) bool { return k.id == id })
				out, err := w.DeleteObject(ctx, &api.DeleteObjectInput{Bucket: name, Key: &k, VersionId: &id})
				check(err)
				if *out.VersionId != id || aws.Val(out.DeleteMarker) != (at >= 0 && m.keys[k][at].marker) {
					r.Fatalf("deleted: %+v", out)
				}
				if at >= 0 {
					m.keys[k] = slices.Delete(m.keys[k], at, at+1)
				}
			},
			"tag": func(r *rapid.T) {
				k := key.Draw(r, "key")
				id := pick(r, k)
				at := slices.IndexFunc(m.keys[k], func(k kept) bool { return k.id == id && !k.marker })
				_, err := w.PutObjectTagging(ctx, &api.PutObjectTaggingInput{Bucket: name, Key: &k, VersionId: &id, Tagging: &api.Tagging{TagSet: []api.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("v")}}}})
				if (at >= 0) != (err == nil) {
					r.Fatalf("tags on version %s: %v", id, err)
				}
			},
			"": func(r *rapid.T) { compare(ctx, r, w, m) },
		})
		for k, of := range m.keys {
			for _, v := range of {
				_, err := w.DeleteObject(ctx, &api.DeleteObjectInput{Bucket: name, Key: &k, VersionId: &v.id})
				check(err)
			}
		}
		_, err = w.DeleteBucket(ctx, &api.DeleteBucketInput{Bucket: name})
		check(err)
		if recs, _, err := w.store.List(ctx, "s3/", store.Page{}); err != nil || len(recs) != 0 || w.files(t) != 0 {
			r.Fatalf("%d records, %d files are left: %v", len(recs), w.files(t), err)
		}
	})
}

// compare reads everything in every way, and finds what the model has.
func compare(ctx context.Context, r *rapid.T, w *world, m *model) {
	name := aws.Ptr("logs")
	var got []string
	in := &api.ListObjectVersionsInput{Bucket: name, MaxKeys: aws.Ptr(int32(rapid.IntRange(1, 4).Draw(r, "page")))}
	for more := true; more; {
		out, err := w.ListObjectVersions(ctx, in)
		if err != nil {
			r.Fatal(err)
		}
		var page []string
		for _, v := range out.Versions {
			page = append(page, fmt.Sprint(*v.Key, " ", *v.VersionId, " false ", *v.IsLatest))
		}
		for _, v := range out.DeleteMarkers {
			page = append(page, fmt.Sprint(*v.Key, " ", *v.VersionId, " true ", *v.IsLatest))
		}
		got = append(got, page...)
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
		more = *out.IsTruncated
	}
	want := m.listed()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.Fatalf("listed %q, not %q", got, want)
	}
	var current, objects []string
	for key, of := range m.keys {
		if len(of) > 0 && !of[0].marker {
			current = append(current, key)
		}
		for i, v := range of {
			ids := []*string{&v.id}
			if i == 0 {
				ids = append(ids, nil)
			}
			for _, id := range ids {
				out, err := w.GetObject(ctx, &api.GetObjectInput{Bucket: name, Key: &key, VersionId: id})
				if v.marker {
					if err == nil || err.(*aws.Error).Headers["x-amz-delete-marker"] != "true" || (err.(*aws.Error).Status == http.StatusNotFound) != (id == nil) {
						r.Fatalf("a marker was read: %v", err)
					}
					continue
				}
				if err != nil {
					r.Fatalf("%s %s: %v", key, v.id, err)
				}
				text, err := io.ReadAll(out.Body)
				out.Body.Close()
				if err != nil || string(text) != v.content || m.state != "" && *out.VersionId != v.id {
					r.Fatalf("%s %s has %q, not %q (%v)", key, v.id, text, v.content, err)
				}
			}
		}
	}
	list, err := w.ListObjectsV2(ctx, &api.ListObjectsV2Input{Bucket: name})
	if err != nil {
		r.Fatal(err)
	}
	for _, o := range list.Contents {
		objects = append(objects, *o.Key)
	}
	slices.Sort(current)
	if !slices.Equal(objects, current) {
		r.Fatalf("objects %q, not %q", objects, current)
	}
	_, err = w.DeleteBucket(ctx, &api.DeleteBucketInput{Bucket: name})
	if empty := len(want) == 0; empty {
		if err == nil {
			_, err = w.CreateBucket(ctx, &api.CreateBucketInput{Bucket: name})
		}
		if err != nil {
			r.Fatal(err)
		}
		m.state = ""
	} else if !aws.IsCode(err, "BucketNotEmpty") {
		r.Fatalf("a bucket with versions: %v", err)
	}
}

func enable(t *testing.T, c *sdk.Client) {
	t.Helper()
	must[*sdk.PutBucketVersioningOutput](t)(c.PutBucketVersioning(t.Context(), &sdk.PutBucketVersioningInput{Bucket: sdkaws.String("logs"), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}))
}

// TestVersions is what an SDK sees of versions.
func TestVersions(t *testing.T) {
	w, c := bucket(t)
	name := sdkaws.String("logs")
	if out := must[*sdk.GetBucketVersioningOutput](t)(c.GetBucketVersioning(t.Context(), &sdk.GetBucketVersioningInput{Bucket: name})); out.Status != "" {
		t.Errorf("a new bucket: %q", out.Status)
	}
	old := put(t, c, "k", "before")
	enable(t, c)
	first, second := put(t, c, "k", "one"), put(t, c, "k", "two")
	if old.VersionId != nil || *first.VersionId == *second.VersionId {
		t.Errorf("versions %v, %v, %v", old.VersionId, first.VersionId, second.VersionId)
	}
	marker := must[*sdk.DeleteObjectOutput](t)(c.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: name, Key: sdkaws.String("k")}))
	ask := func(query string) *http.Response {
		t.Helper()
		url := must[*v4Request](t)(presign(t, c, query))
		r := must[*http.Response](t)(http.Get(url.url))
		r.Body.Close()
		return r
	}
	if r := ask(""); r.StatusCode != 404 || r.Header.Get("x-amz-delete-marker") != "true" || r.Header.Get("x-amz-version-id") != *marker.VersionId {
		t.Errorf("a deleted key: %d %v", r.StatusCode, r.Header)
	}
	if r := ask(*marker.VersionId); r.StatusCode != 405 || r.Header.Get("Allow") != "DELETE" || r.Header.Get("x-amz-delete-marker") != "true" || r.Header.Get("Last-Modified") == "" {
		t.Errorf("a marker: %d %v", r.StatusCode, r.Header)
	}
	for id, want := range map[string]string{"none": "InvalidArgument", strings.Repeat("0", 32): "NoSuchVersion"} {
		if _, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: name, Key: sdkaws.String("k"), VersionId: &id}); code(err) != want {
			t.Errorf("version %s: %v", id, err)
		}
	}
	// A condition that nothing is there holds for a deleted key.
	must[*sdk.PutObjectOutput](t)(c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: name, Key: sdkaws.String("k"), Body: strings.NewReader("three"), IfNoneMatch: sdkaws.String("*")}))
	if _, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: name, Key: sdkaws.String("k"), Body: strings.NewReader("four"), IfNoneMatch: sdkaws.String("*")}); code(err) != "PreconditionFailed" {
		t.Errorf("written over: %v", err)
	}
	back := must[*sdk.CopyObjectOutput](t)(c.CopyObject(t.Context(), &sdk.CopyObjectInput{Bucket: name, Key: sdkaws.String("k"), CopySource: sdkaws.String("logs/k?versionId=null")}))
	if *back.CopySourceVersionId != "null" || get(t, c, "k") != "before" {
		t.Errorf("brought back: %+v", back)
	}
	out := must[*sdk.DeleteObjectsOutput](t)(c.DeleteObjects(t.Context(), &sdk.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: sdkaws.String("k"), VersionId: marker.VersionId}, {Key: sdkaws.String("k"), VersionId: first.VersionId}, {Key: sdkaws.String("k")},
	}}}))
	if len(out.Deleted) != 3 || *out.Deleted[0].DeleteMarkerVersionId != *marker.VersionId || out.Deleted[1].DeleteMarker != nil || out.Deleted[2].DeleteMarkerVersionId == nil {
		t.Errorf("deleted: %+v", out)
	}
	if _, err := c.DeleteBucket(t.Context(), &sdk.DeleteBucketInput{Bucket: name}); code(err) != "BucketNotEmpty" {
		t.Errorf("a bucket with versions: %v", err)
	}
	if n := w.files(t); n != 4 {
		t.Errorf("%d files of 4 versions", n)
	}
	if _, err := c.PutBucketVersioning(t.Context(), &sdk.PutBucketVersioningInput{Bucket: name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled, MFADelete: types.MFADeleteEnabled}}); code(err) != "NotImplemented" {
		t.Errorf("MFA delete: %v", err)
	}
	tree := must[*sdk.ListObjectVersionsOutput](t)(c.ListObjectVersions(t.Context(), &sdk.ListObjectVersionsInput{Bucket: name, Delimiter: sdkaws.String("f")}))
	if len(tree.CommonPrefixes) != 0 || len(tree.Versions) != 4 || len(tree.DeleteMarkers) != 1 {
		t.Errorf("the delimiter is looked for in version ids: %+v", tree)
	}
}

// v4Request is a presigned URL.
type v4Request struct{ url string }

func presign(t *testing.T, c *sdk.Client, version string) (*v4Request, error) {
	in := &sdk.GetObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("k")}
	if version != "" {
		in.VersionId = &version
	}
	out, err := sdk.NewPresignClient(c).PresignGetObject(t.Context(), in, sdk.WithPresignExpires(time.Minute))
	if err != nil {
		return nil, err
	}
	return &v4Request{out.URL}, nil
}

// TestVersionRights: a version is read and deleted by rights of its own.
func TestVersionRights(t *testing.T) {
	w, admin := bucket(t)
	enable(t, admin)
	poor, name, key := w.client("poor"), sdkaws.String("logs"), sdkaws.String("k")
	v := put(t, admin, "k", "x")
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/poor"},"Action":["s3:GetObject","s3:DeleteObject","s3:DeleteObjectVersion"],"Resource":"arn:aws:s3:::logs/*"}]}`
	must[*sdk.PutBucketPolicyOutput](t)(admin.PutBucketPolicy(t.Context(), &sdk.PutBucketPolicyInput{Bucket: name, Policy: &text}))
	if _, err := poor.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: name, Key: key, VersionId: v.VersionId}); code(err) != "AccessDenied" {
		t.Errorf("s3:GetObject is not s3:GetObjectVersion: %v", err)
	}
	if _, err := poor.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: name, Key: key}); err != nil {
		t.Error(err)
	}
	must[*sdk.DeleteObjectOutput](t)(poor.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: name, Key: key, VersionId: v.VersionId}))
	if n := w.files(t); n != 0 {
		t.Errorf("%d files", n)
	}
}

// TestVersionRace: writes and deletions of one key at the same time lose nothing
// that was acknowledged.
func TestVersionRace(t *testing.T) {
	w, c := bucket(t)
	enable(t, c)
	ctx := gateway.AsRoot(t.Context(), account, "us-east-1")
	name, key := aws.Ptr("logs"), aws.Ptr("k")
	const writers, each = 4, 10
	kept := make(chan string, writers*each)
	done := make(chan error, writers)
	for range writers {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				var out *api.PutObjectOutput
				if out, err = w.PutObject(ctx, &api.PutObjectInput{Bucket: name, Key: key, Body: io.NopCloser(strings.NewReader("x"))}); err != nil {
					break
				}
				if i%2 == 0 {
					kept <- *out.VersionId
					continue
				}
				_, err = w.DeleteObject(ctx, &api.DeleteObjectInput{Bucket: name, Key: key, VersionId: out.VersionId})
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	close(kept)
	n := 0
	for id := range kept {
		n++
		out, err := w.GetObject(ctx, &api.GetObjectInput{Bucket: name, Key: key, VersionId: &id})
		if err != nil {
			t.Errorf("version %s: %v", id, err)
			continue
		}
		out.Body.Close()
	}
	list, err := w.ListObjectVersions(ctx, &api.ListObjectVersionsInput{Bucket: name})
	if err != nil || len(list.Versions) != n || !*list.Versions[0].IsLatest || w.files(t) != n {
		t.Errorf("%d versions of %d, %d files: %v", len(list.Versions), n, w.files(t), err)
	}
}
