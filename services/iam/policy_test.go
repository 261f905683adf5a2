package iam

import (
	"testing"

	"minato/aws"
	iamapi "minato/aws/api/iam"
)

// TestPolicyOfAnotherPath: a policy is found by its whole ARN, which is what IAM
// was asked about, and not by its name at the end of another.
func TestPolicyOfAnotherPath(t *testing.T) {
	document := func(action string) *string {
		return aws.Ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`)
	}
	h := newHouse(t)
	made, err := h.api.CreatePolicy(h.admin, &iamapi.CreatePolicyInput{PolicyName: aws.Ptr("kept"), PolicyDocument: document("ecs:RunTask")})
	if err != nil {
		t.Fatal(err)
	}
	other := aws.Ptr("arn:aws:iam::000000000000:policy/other/kept")
	_, err = h.api.GetPolicy(h.admin, &iamapi.GetPolicyInput{PolicyArn: other})
	if !aws.IsCode(err, "NoSuchEntity") {
		t.Errorf("got by another path: %v", err)
	}
	if _, err := h.api.CreatePolicyVersion(h.admin, &iamapi.CreatePolicyVersionInput{PolicyArn: other, PolicyDocument: document("ecs:*")}); !aws.IsCode(err, "NoSuchEntity") {
		t.Errorf("changed by another path: %v", err)
	}
	if _, err := h.api.DeletePolicy(h.admin, &iamapi.DeletePolicyInput{PolicyArn: other}); !aws.IsCode(err, "NoSuchEntity") {
		t.Errorf("deleted by another path: %v", err)
	}
	if _, err := h.api.GetPolicy(h.admin, &iamapi.GetPolicyInput{PolicyArn: made.Policy.Arn}); err != nil {
		t.Error(err)
	}
}
