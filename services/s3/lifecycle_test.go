package s3_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"minato/controller"
	"minato/dataplane/blobs"
	"minato/internal/clock"
	"minato/services/s3"
)

// TestLifecycle: rules are kept and told as they were given, and carried out when
// the days have gone by.
func TestLifecycle(t *testing.T) {
	w, c := bucket(t)
	name, key := sdkaws.String("logs"), sdkaws.String("k")
	if _, err := c.GetBucketLifecycleConfiguration(t.Context(), &sdk.GetBucketLifecycleConfigurationInput{Bucket: name}); code(err) != "NoSuchLifecycleConfiguration" {
		t.Errorf("a new bucket: %v", err)
	}
	enable(t, c)
	set := func(rules ...types.LifecycleRule) error {
		_, err := c.PutBucketLifecycleConfiguration(t.Context(), &sdk.PutBucketLifecycleConfigurationInput{Bucket: name, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules}})
		return err
	}
	filter := func(prefix string) *types.LifecycleRuleFilter { return &types.LifecycleRuleFilter{Prefix: &prefix} }
	if err := set(types.LifecycleRule{Status: types.ExpirationStatusEnabled, Filter: filter(""), Transitions: []types.Transition{{Days: sdkaws.Int32(1), StorageClass: types.TransitionStorageClassGlacier}}}); code(err) != "NotImplemented" {
		t.Errorf("a transition: %v", err)
	}
	err := set(
		types.LifecycleRule{
			ID: sdkaws.String("old"), Status: types.ExpirationStatusEnabled, Filter: filter("k"),
			NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: sdkaws.Int32(30), NewerNoncurrentVersions: sdkaws.Int32(1)},
		},
		types.LifecycleRule{Status: types.ExpirationStatusEnabled, Filter: filter("tmp/"), Expiration: &types.LifecycleExpiration{Days: sdkaws.Int32(1)}},
		types.LifecycleRule{Status: types.ExpirationStatusEnabled, Filter: filter(""), AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: sdkaws.Int32(7)}},
	)
	if err != nil {
		t.Fatal(err)
	}
	told := must[*sdk.GetBucketLifecycleConfigurationOutput](t)(c.GetBucketLifecycleConfiguration(t.Context(), &sdk.GetBucketLifecycleConfigurationInput{Bucket: name}))
	if len(told.Rules) != 3 || *told.Rules[0].ID != "old" || *told.Rules[1].ID == "" || *told.Rules[1].Filter.Prefix != "tmp/" || told.TransitionDefaultMinimumObjectSize != types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k {
		t.Errorf("told: %+v", told)
	}
	put(t, c, "k", "one")
	put(t, c, "k", "two")
	put(t, c, "k", "three")
	if out := put(t, c, "tmp/a", "x"); out.Expiration == nil || !strings.Contains(*out.Expiration, "expiry-date=") {
		t.Errorf("it expires: %v", out.Expiration)
	}
	begun := must[*sdk.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: name, Key: key}))
	must[*sdk.UploadPartOutput](t)(c.UploadPart(t.Context(), &sdk.UploadPartInput{Bucket: name, Key: key, UploadId: begun.UploadId, PartNumber: sdkaws.Int32(1), Body: strings.NewReader("x")}))

	later := clock.NewFake(time.Now().Add(5 * 24 * time.Hour))
	files, err := blobs.Open(w.dir, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	again := s3.New(s3.Deps{Store: w.store, Blobs: files, Clock: later, Authorizer: w, Region: "us-east-1"})
	ctl := controller.New(later, nil, controller.NewBus())
	again.AddReconcilers(ctl)
	ctl.Start()
	defer ctl.Stop()
	look := func() (versions, markers, uploads int) {
		v := must[*sdk.ListObjectVersionsOutput](t)(c.ListObjectVersions(t.Context(), &sdk.ListObjectVersionsInput{Bucket: name}))
		u := must[*sdk.ListMultipartUploadsOutput](t)(c.ListMultipartUploads(t.Context(), &sdk.ListMultipartUploadsInput{Bucket: name}))
		return len(v.Versions), len(v.DeleteMarkers), len(u.Uploads)
	}
	await := func(versions, markers, uploads, files int) {
		t.Helper()
		for {
			v, m, u := look()
			if v == versions && m == markers && u == uploads && w.files(t) == files {
				return
			}
			select {
			case <-t.Context().Done():
				t.Fatalf("%d versions, %d markers, %d uploads, %d files", v, m, u, w.files(t))
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	// After five days the temporary object is behind a marker; after a month all
	// but one of the other versions and the upload are gone.
	await(4, 1, 1, 5)
	if get(t, c, "k") != "three" {
		t.Error("the current version is another")
	}
	if _, err := c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: name, Key: sdkaws.String("tmp/a")}); err == nil {
		t.Error("what expired is there")
	}
	later.Advance(40 * 24 * time.Hour)
	await(3, 1, 0, 3)
	must[*sdk.DeleteBucketLifecycleOutput](t)(c.DeleteBucketLifecycle(t.Context(), &sdk.DeleteBucketLifecycleInput{Bucket: name}))
	if _, err := c.GetBucketLifecycleConfiguration(t.Context(), &sdk.GetBucketLifecycleConfigurationInput{Bucket: name}); code(err) != "NoSuchLifecycleConfiguration" {
		t.Errorf("after it was taken: %v", err)
	}
	var none *types.NotFound
	if _, err := c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: name, Key: sdkaws.String("tmp/a")}); !errors.As(err, &none) {
		t.Errorf("behind the marker: %v", err)
	}
}
