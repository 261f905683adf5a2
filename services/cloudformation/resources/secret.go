package resources

import (
	"context"
	"encoding/json"

	"minato/aws"
	rds "minato/aws/api/rds"
	secrets "minato/aws/api/secretsmanager"
)

// secretResources makes secrets, their policies, and what ties them to a
// database.
type secretResources struct {
	api secrets.API
	rds rds.API
}

func secretTypes(inv aws.Invoker) map[string]Type {
	v := secretResources{secrets.NewClient(inv), rds.NewClient(inv)}
	return map[string]Type{
		"AWS::SecretsManager::Secret":                 {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "Name"},
		"AWS::SecretsManager::SecretTargetAttachment": {Create: v.attach, Ready: v.ready, Update: v.reattach, Delete: v.detach},
		"AWS::SecretsManager::ResourcePolicy":         {Create: v.createPolicy, Ready: v.ready, Update: v.putPolicy, Delete: v.deletePolicy},
	}
}

// ready gives the attribute Id, which is what Ref gives: the secret's ARN.
func (v secretResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func secretTag(key, value string) secrets.Tag { return secrets.Tag{Key: &key, Value: &value} }

// secretName is the name of a secret that the template does not name.
func secretName(r *Request) string {
	if s := r.str("Name"); s != "" {
		return s
	}
	return r.LogicalID + "-" + r.Suffix
}

func unsupportedSecret(r *Request) error {
	for _, name := range []string{"ReplicaRegions", "Type"} {
		if _, given := r.Properties[name]; given {
			return aws.Errorf("InvalidRequest", "The property %s of AWS::SecretsManager::Secret is not supported by minato", name)
		}
	}
	if r.Properties["SecretString"] != nil && r.Properties["GenerateSecretString"] != nil {
		return aws.Errorf("InvalidRequest", "You can't specify both SecretString and GenerateSecretString")
	}
	return nil
}

func (v secretResources) create(ctx context.Context, r *Request) (string, error) {
	if err := unsupportedSecret(r); err != nil {
		return "", err
	}
	value, err := v.value(ctx, r)
	if err != nil {
		return "", err
	}
	name := secretName(r)
	in := &secrets.CreateSecretInput{
		Name: &name, Description: r.ptr("Description"), KmsKeyId: r.ptr("KmsKeyId"), SecretString: &value, ClientRequestToken: r.token(), Tags: tags(r, secretTag),
	}
	out, err := v.api.CreateSecret(ctx, in)
	if err == nil {
		return aws.Val(out.ARN), nil
	}
	if !r.Resumed || !aws.IsCode(err, "ResourceExistsException") {
		return "", err
	}
	// It may have been made, with another random value, before the answer got
	// lost: its first version then has this step's token.
	found, e := v.api.DescribeSecret(ctx, &secrets.DescribeSecretInput{SecretId: &name})
	if e != nil || found.VersionIdsToStages[*r.token()] == nil {
		return "", err
	}
	return aws.Val(found.ARN), nil
}

// value is what the template gives a secret, or what it has generated.
func (v secretResources) value(ctx context.Context, r *Request) (string, error) {
	rules, generate := r.Properties["GenerateSecretString"].(map[string]any)
	if !generate && r.Properties["SecretString"] != nil {
		return r.str("SecretString"), nil
	}
	in, err := into(without(rules, "SecretStringTemplate", "GenerateStringKey"), new(secrets.GetRandomPasswordInput))
	if err != nil {
		return "", err
	}
	template, key := text(rules["SecretStringTemplate"]), text(rules["GenerateStringKey"])
	if (template == "") != (key == "") {
		return "", aws.Errorf("InvalidRequest", "You must specify both SecretStringTemplate and GenerateStringKey, or neither of them")
	}
	out, err := v.api.GetRandomPassword(ctx, in)
	if err != nil {
		return "", err
	}
	password := aws.Val(out.RandomPassword)
	if template == "" {
		return password, nil
	}
	object := map[string]any{}
	if json.Unmarshal([]byte(template), &object) != nil {
		return "", aws.Errorf("InvalidRequest", "Could not parse SecretStringTemplate JSON.")
	}
	object[key] = password
	return plainJSON(object)
}

// plainJSON writes JSON as people do: <, > and & stay.
func plainJSON(v any) (string, error) {
	var b jsonText
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return string(b[:len(b)-1]), nil // without the line's end
}

type jsonText []byte

func (b *jsonText) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func (v secretResources) update(ctx context.Context, r *Request) error {
	if err := unsupportedSecret(r); err != nil {
		return err
	}
	in := &secrets.UpdateSecretInput{SecretId: &r.PhysicalID}
	if r.changed("Description") {
		in.Description = aws.Ptr(r.str("Description"))
	}
	if r.changed("KmsKeyId") {
		in.KmsKeyId = aws.Ptr(r.str("KmsKeyId"))
	}
	if r.changed("SecretString", "GenerateSecretString") {
		value, err := v.value(ctx, r)
		if err != nil {
			return err
		}
		in.SecretString, in.ClientRequestToken = &value, r.token()
	}
	if in.Description != nil || in.KmsKeyId != nil || in.SecretString != nil {
		_, err := v.api.UpdateSecret(ctx, in)
		generated := r.Properties["GenerateSecretString"] != nil
		if err != nil && (!generated || !aws.IsCode(err, "ResourceExistsException")) { // that was this step, repeated
			return err
		}
	}
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := v.api.UntagResource(ctx, &secrets.UntagResourceInput{SecretId: &r.PhysicalID, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	var list []secrets.Tag
	for _, k := range sorted(set) {
		list = append(list, secretTag(k, set[k]))
	}
	_, err := v.api.TagResource(ctx, &secrets.TagResourceInput{SecretId: &r.PhysicalID, Tags: list})
	return err
}

// delete removes a secret at once, so that its name is free again.
func (v secretResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteSecret(ctx, &secrets.DeleteSecretInput{SecretId: &r.PhysicalID, ForceDeleteWithoutRecovery: aws.Ptr(true)})
	return gone(err, "ResourceNotFoundException")
}

// connection are the members that an attachment gives a secret.
var connection = []string{"engine", "host", "port", "dbname", "dbInstanceIdentifier"}

// attach writes into a secret how the database is reached that it is of.
func (v secretResources) attach(ctx context.Context, r *Request) (string, error) {
	if kind := r.str("TargetType"); kind != "AWS::RDS::DBInstance" {
		return "", aws.Errorf("InvalidRequest", "The TargetType %s of AWS::SecretsManager::SecretTargetAttachment is not supported by minato", kind)
	}
	found, err := v.rds.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: r.ptr("TargetId")})
	if err != nil {
		return "", err
	}
	if len(found.DBInstances) == 0 || found.DBInstances[0].Endpoint == nil {
		return "", aws.Errorf("NotFound", "The DB instance %s has no endpoint yet", r.str("TargetId"))
	}
	db := &found.DBInstances[0]
	arn, err := v.rewrite(ctx, r, func(secret map[string]any) {
		secret["engine"], secret["host"], secret["port"] = aws.Val(db.Engine), aws.Val(db.Endpoint.Address), aws.Val(db.Endpoint.Port)
		secret["dbInstanceIdentifier"] = aws.Val(db.DBInstanceIdentifier)
		if name := aws.Val(db.DBName); name != "" {
			secret["dbname"] = name
		}
	})
	return arn, err
}

func (v secretResources) reattach(ctx context.Context, r *Request) error {
	_, err := v.attach(ctx, r)
	return err
}

// detach takes out of the secret what the attachment put in.
func (v secretResources) detach(ctx context.Context, r *Request) error {
	_, err := v.rewrite(ctx, r, func(secret map[string]any) {
		for _, k := range connection {
			delete(secret, k)
		}
	})
	return gone(err, "ResourceNotFoundException", "InvalidRequestException") // or scheduled for deletion
}

// rewrite changes the object that a secret's value is, by a new version. The
// same change twice is one version: what it leads to is the same.
func (v secretResources) rewrite(ctx context.Context, r *Request, change func(secret map[string]any)) (string, error) {
	id := r.str("SecretId")
	now, err := v.api.GetSecretValue(ctx, &secrets.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", err
	}
	object := map[string]any{}
	if json.Unmarshal([]byte(aws.Val(now.SecretString)), &object) != nil {
		return "", aws.Errorf("InvalidRequest", "Could not parse SecretString JSON")
	}
	change(object)
	value, err := plainJSON(object)
	if err != nil || value == aws.Val(now.SecretString) {
		return aws.Val(now.ARN), err
	}
	// A token of its own for each step and each value that it found: a stack that
	// is rolled back goes this way twice.
	step := *r
	step.Token += " " + aws.Val(now.VersionId)
	_, err = v.api.PutSecretValue(ctx, &secrets.PutSecretValueInput{SecretId: &id, SecretString: &value, ClientRequestToken: step.token()})
	return aws.Val(now.ARN), err
}

func (v secretResources) createPolicy(ctx context.Context, r *Request) (string, error) {
	out, err := v.api.PutResourcePolicy(ctx, policyInput(r, r.ptr("SecretId")))
	if err != nil {
		return "", err
	}
	return aws.Val(out.ARN), nil
}

func (v secretResources) putPolicy(ctx context.Context, r *Request) error {
	_, err := v.api.PutResourcePolicy(ctx, policyInput(r, &r.PhysicalID))
	return err
}

func policyInput(r *Request, secret *string) *secrets.PutResourcePolicyInput {
	document := text(r.Properties["ResourcePolicy"])
	if document == "" {
		document, _ = plainJSON(r.Properties["ResourcePolicy"]) // it came out of JSON
	}
	in := &secrets.PutResourcePolicyInput{SecretId: secret, ResourcePolicy: &document}
	if block, given := boolean(r.Properties, "BlockPublicPolicy"); given {
		in.BlockPublicPolicy = &block
	}
	return in
}

func (v secretResources) deletePolicy(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteResourcePolicy(ctx, &secrets.DeleteResourcePolicyInput{SecretId: &r.PhysicalID})
	return gone(err, "ResourceNotFoundException", "InvalidRequestException")
}
