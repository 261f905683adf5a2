package resources

import (
	"context"
	"strings"

	"minato/aws"
	s3 "minato/aws/api/s3"
)

// bucketResources makes buckets and their policies.
type bucketResources struct{ api s3.API }

func bucketTypes(inv aws.Invoker) map[string]Type {
	v := bucketResources{s3.NewClient(inv)}
	return map[string]Type{
		"AWS::S3::Bucket":       {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "BucketName"},
		"AWS::S3::BucketPolicy": {Create: v.createPolicy, Update: v.putPolicy, Delete: v.deletePolicy},
	}
}

// servedBucket are the properties of a bucket that are done; the others are
// refused, by name.
var servedBucket = map[string]bool{
	"BucketName": true, "BucketEncryption": true, "OwnershipControls": true, "PublicAccessBlockConfiguration": true, "Tags": true, "AccessControl": true,
	"VersioningConfiguration": true, "LifecycleConfiguration": true,
}

func unsupportedBucket(r *Request) error {
	for _, name := range sorted(r.Properties) {
		if !servedBucket[name] {
			return aws.Errorf("InvalidRequest", "The property %s of AWS::S3::Bucket is not supported by minato", name)
		}
	}
	if acl := r.str("AccessControl"); acl != "" && acl != "Private" {
		return aws.Errorf("InvalidRequest", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	return nil
}

// bucketName is the name of the bucket: small, as buckets' names are.
func bucketName(r *Request) string {
	if s := r.str("BucketName"); s != "" {
		return s
	}
	return strings.ToLower(r.name("BucketName", 63))
}

func (v bucketResources) create(ctx context.Context, r *Request) (string, error) {
	if err := unsupportedBucket(r); err != nil {
		return "", err
	}
	name := bucketName(r)
	// CreateBucket itself does not mind one's own bucket, in us-east-1.
	if _, err := v.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err == nil && !r.Resumed {
		return "", aws.Errorf("AlreadyExists", "%s already exists", name)
	}
	in := &s3.CreateBucketInput{Bucket: &name}
	if r.Place.Region != "us-east-1" {
		in.CreateBucketConfiguration = &s3.CreateBucketConfiguration{LocationConstraint: &r.Place.Region}
	}
	if _, err := v.api.CreateBucket(ctx, in); err != nil && (!r.Resumed || !aws.IsCode(err, "BucketAlreadyOwnedByYou")) {
		return "", err
	}
	return name, v.settle(ctx, name, r.Properties, nil, tags(r, s3Tag))
}

func s3Tag(k, v string) s3.Tag { return s3.Tag{Key: &k, Value: &v} }

// settle brings a bucket's settings from what they were to what they should be.
func (v bucketResources) settle(ctx context.Context, name string, want, had map[string]any, tagSet []s3.Tag) error {
	var err error
	step := func(property string, put, drop func() error) {
		switch {
		case err != nil:
		case want[property] != nil:
			err = put()
		case had[property] != nil:
			err = drop()
		}
	}
	step("PublicAccessBlockConfiguration", func() error {
		c, err := into(properties(want, "PublicAccessBlockConfiguration"), new(s3.PublicAccessBlockConfiguration))
		if err == nil {
			_, err = v.api.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &name, PublicAccessBlockConfiguration: c})
		}
		return err
	}, func() error {
		_, err := v.api.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: &name})
		return err
	})
	step("OwnershipControls", func() error {
		c, err := into(properties(want, "OwnershipControls"), new(s3.OwnershipControls))
		if err == nil {
			_, err = v.api.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{Bucket: &name, OwnershipControls: c})
		}
		return err
	}, func() error {
		_, err := v.api.DeleteBucketOwnershipControls(ctx, &s3.DeleteBucketOwnershipControlsInput{Bucket: &name})
		return err
	})
	step("BucketEncryption", func() error {
		_, err := v.api.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &name, ServerSideEncryptionConfiguration: encryption(want)})
		return err
	}, func() error {
		_, err := v.api.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: &name})
		return err
	})
	step("VersioningConfiguration", func() error {
		return v.version(ctx, name, text(properties(want, "VersioningConfiguration")["Status"]))
	}, func() error {
		return v.version(ctx, name, s3.BucketVersioningStatusSuspended) // there is no way back
	})
	step("LifecycleConfiguration", func() error {
		in, err := lifecycle(want)
		if err == nil {
			in.Bucket = &name
			_, err = v.api.PutBucketLifecycleConfiguration(ctx, in)
		}
		return err
	}, func() error {
		_, err := v.api.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: &name})
		return err
	})
	switch {
	case err != nil:
	case len(tagSet) > 0:
		_, err = v.api.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: &s3.Tagging{TagSet: tagSet}})
	case had != nil:
		_, err = v.api.DeleteBucketTagging(ctx, &s3.DeleteBucketTaggingInput{Bucket: &name})
	}
	return err
}

func (v bucketResources) version(ctx context.Context, name, status string) error {
	_, err := v.api.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &s3.VersioningConfiguration{Status: &status}})
	return err
}

func properties(of map[string]any, name string) map[string]any {
	p, _ := of[name].(map[string]any)
	return p
}

// encryption reads BucketEncryption, whose names are not the API's.
func encryption(of map[string]any) *s3.ServerSideEncryptionConfiguration {
	out := &s3.ServerSideEncryptionConfiguration{Rules: []s3.ServerSideEncryptionRule{}}
	for _, rule := range attributesOf[struct {
		ServerSideEncryptionByDefault *s3.ServerSideEncryptionByDefault
		BucketKeyEnabled              *bool
	}](properties(of, "BucketEncryption"), "ServerSideEncryptionConfiguration") {
		out.Rules = append(out.Rules, s3.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: rule.ServerSideEncryptionByDefault, BucketKeyEnabled: rule.BucketKeyEnabled})
	}
	return out
}

// ready gives the attributes, which are all of the name.
func (v bucketResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	name, region := r.PhysicalID, r.Place.Region
	return map[string]any{
		"Arn": r.Place.Bucket(name), "DomainName": name + ".s3.amazonaws.com", "RegionalDomainName": name + ".s3." + region + ".amazonaws.com",
		"DualStackDomainName": name + ".s3.dualstack." + region + ".amazonaws.com", "WebsiteURL": "http://" + name + ".s3-website-" + region + ".amazonaws.com",
	}, true, nil
}

func (v bucketResources) update(ctx context.Context, r *Request) error {
	if err := unsupportedBucket(r); err != nil {
		return err
	}
	return v.settle(ctx, r.PhysicalID, r.Properties, r.Previous, tags(r, s3Tag))
}

func (v bucketResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &r.PhysicalID})
	return gone(err, "NoSuchBucket")
}

func (v bucketResources) createPolicy(ctx context.Context, r *Request) (string, error) {
	return r.str("Bucket"), v.put(ctx, r.str("Bucket"), r)
}

func (v bucketResources) putPolicy(ctx context.Context, r *Request) error {
	return v.put(ctx, r.PhysicalID, r)
}

func (v bucketResources) put(ctx context.Context, bucket string, r *Request) error {
	document := text(r.Properties["PolicyDocument"])
	if document == "" {
		document, _ = plainJSON(r.Properties["PolicyDocument"]) // it came out of JSON
	}
	_, err := v.api.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &document})
	return err
}

func (v bucketResources) deletePolicy(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &r.PhysicalID})
	return gone(err, "NoSuchBucket")
}
