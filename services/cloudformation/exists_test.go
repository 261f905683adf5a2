package cloudformation

import (
	"testing"

	"minato/aws"
	api "minato/aws/api/cloudformation"
)

const existing = `
Parameters:
  Vpc: {Type: AWS::EC2::VPC::Id}
  Zones: {Type: List<AWS::EC2::AvailabilityZone::Name>, Default: "us-east-1a, us-east-1b"}
  Group: {Type: String, Default: ""}
Resources:
  Gateway: {Type: AWS::EC2::InternetGateway}
`

// What a parameter of an AWS-specific type names has to be there before anything
// is made; of a plain string nothing is known.
func TestParametersExist(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("good", existing, "Vpc", "vpc-1"), "CREATE_COMPLETE")
	f.is(f.update("good", existing, "Vpc", "vpc-1", "Zones", "us-east-1a,us-east-1z"), "UPDATE_ROLLBACK_COMPLETE")
	f.has(f.history("good"), `^good UPDATE_ROLLBACK_IN_PROGRESS Parameter validation failed: parameter value us-east-1z for parameter name Zones does not exist$`)

	f.fake.fail["DescribeVpcs"] = aws.Errorf("InvalidVpcID.NotFound", "The vpc ID 'vpc-2' does not exist")
	f.is(f.create("bad", existing, "Vpc", "vpc-2"), "ROLLBACK_COMPLETE")
	f.has(f.history("bad"), `^bad ROLLBACK_IN_PROGRESS Parameter validation failed: parameter value vpc-2 for parameter name Vpc does not exist\. Rollback requested by user\.$`)
	if n := f.fake.count("CreateInternetGateway"); n != 1 {
		t.Errorf("%d gateways were made, one of them for a VPC that is not there", n-1)
	}
	text := existing
	if _, err := f.CreateChangeSet(f.ctx, &api.CreateChangeSetInput{
		StackName: aws.Ptr("set"), ChangeSetName: aws.Ptr("first"), ChangeSetType: aws.Ptr(api.ChangeSetTypeCreate), TemplateBody: &text, Parameters: pairs([]string{"Vpc", "vpc-2"}),
	}); err != nil {
		t.Fatal(err)
	}
	set, err := f.DescribeChangeSet(f.ctx, &api.DescribeChangeSetInput{StackName: aws.Ptr("set"), ChangeSetName: aws.Ptr("first")})
	if err != nil {
		t.Fatal(err)
	}
	if aws.Val(set.Status) != api.ChangeSetStatusFailed || aws.Val(set.StatusReason) != "Parameter validation failed: parameter value vpc-2 for parameter name Vpc does not exist" {
		t.Errorf("the change set is %s: %s", aws.Val(set.Status), aws.Val(set.StatusReason))
	}

	// Who may not look gets as far as the call that uses it.
	f.fake.fail["DescribeVpcs"] = aws.Errorf("UnauthorizedOperation", "You are not authorized to perform this operation.")
	f.is(f.create("blind", existing, "Vpc", "vpc-2"), "CREATE_COMPLETE")
}
