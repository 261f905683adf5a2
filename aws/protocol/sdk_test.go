package protocol

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	sdkecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/aws/api/ecs"
	"minato/aws/api/iam"
	"minato/aws/sigv4"
)

// serve answers each request with what answer makes of its input, as the
// gateway does, and checks the signature on the way.
func serve(t *testing.T, answer func(in any) (any, *aws.Error)) sdk.Config {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := ReadBody(r)
		if err != nil {
			t.Error(err)
		}
		s, err := sigv4.Parse(r)
		if err == nil {
			err = s.Verify(r, body, "secret", "", time.Now())
		}
		if err != nil {
			t.Error(err)
		}
		call, err := router.Route(r, body)
		var in any
		if err == nil {
			in, err = call.Decode()
		}
		if err != nil {
			t.Errorf("%v\n%s", err, body)
			return
		}
		out, fault := answer(in)
		if fault != nil {
			err = call.WriteError(w, fault, "request-1")
		} else {
			err = call.WriteResponse(w, out, "request-1")
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return sdk.Config{Region: "us-east-1", BaseEndpoint: &srv.URL, Credentials: credentials.NewStaticCredentialsProvider("AK", "secret", ""), RetryMaxAttempts: 1}
}

func TestSDKECS(t *testing.T) {
	created := time.Date(2026, 11, 23, 22, 0, 0, 250e6, time.UTC)
	var got any
	cfg := serve(t, func(in any) (any, *aws.Error) {
		got = in
		return &ecs.RunTaskOutput{Tasks: []ecs.Task{{TaskArn: aws.Ptr("arn"), CreatedAt: &created, Containers: []ecs.Container{{ExitCode: aws.Ptr(int32(0))}}}}, Failures: []ecs.Failure{}}, nil
	})
	out, err := sdkecs.NewFromConfig(cfg).RunTask(context.Background(), &sdkecs.RunTaskInput{
		TaskDefinition: sdk.String("chat"), Count: sdk.Int32(2), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	in := got.(*ecs.RunTaskInput)
	if *in.TaskDefinition != "chat" || *in.Count != 2 || *in.LaunchType != ecs.LaunchTypeFargate || in.NetworkConfiguration.AwsvpcConfiguration.Subnets[0] != "subnet-1" || in.ClientToken == nil {
		t.Errorf("the input arrives as %s", show(in))
	}
	if task := out.Tasks[0]; !task.CreatedAt.Equal(created) || *task.TaskArn != "arn" || *task.Containers[0].ExitCode != 0 || out.Failures == nil {
		t.Errorf("the SDK reads %+v", out)
	}
}

func TestSDKEC2(t *testing.T) {
	var got any
	cfg := serve(t, func(in any) (any, *aws.Error) {
		got = in
		return &ec2.DescribeVpcsOutput{Vpcs: []ec2.Vpc{{VpcId: aws.Ptr("vpc-1"), Tags: []ec2.Tag{{Key: aws.Ptr("Name"), Value: aws.Ptr("<x> & y")}}}}}, nil
	})
	out, err := sdkec2.NewFromConfig(cfg).DescribeVpcs(context.Background(), &sdkec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: sdk.String("cidr"), Values: []string{"10.0.0.0/16", "10.1.0.0/16"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (&ec2.DescribeVpcsInput{Filters: []ec2.Filter{{Name: aws.Ptr("cidr"), Values: []string{"10.0.0.0/16", "10.1.0.0/16"}}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("the input arrives as %s", show(got))
	}
	if len(out.Vpcs) != 1 || *out.Vpcs[0].VpcId != "vpc-1" || *out.Vpcs[0].Tags[0].Value != "<x> & y" {
		t.Errorf("the SDK reads %+v", out.Vpcs)
	}
}

func TestSDKIAM(t *testing.T) {
	created := time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)
	cfg := serve(t, func(in any) (any, *aws.Error) {
		if in, ok := in.(*iam.CreateRoleInput); ok && *in.RoleName == "r" && *in.Tags[1].Key == "b" {
			return &iam.CreateRoleOutput{Role: &iam.Role{RoleName: in.RoleName, CreateDate: &created}}, nil
		}
		return nil, iam.NoSuchEntityException("The role with name %s cannot be found.", "x")
	})
	client := sdkiam.NewFromConfig(cfg)
	out, err := client.CreateRole(context.Background(), &sdkiam.CreateRoleInput{
		RoleName: sdk.String("r"), AssumeRolePolicyDocument: sdk.String("{}"),
		Tags: []iamtypes.Tag{{Key: sdk.String("a"), Value: sdk.String("1")}, {Key: sdk.String("b"), Value: sdk.String("2")}},
	})
	if err != nil || *out.Role.RoleName != "r" || !out.Role.CreateDate.Equal(created) {
		t.Errorf("%+v %v", out, err)
	}
	_, err = client.GetRole(context.Background(), &sdkiam.GetRoleInput{RoleName: sdk.String("x")})
	var missing *iamtypes.NoSuchEntityException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "The role with name x cannot be found." {
		t.Errorf("the SDK reads the error as %v", err)
	}
}

// TestSDKErrors has the SDK read the errors of the other two protocols.
func TestSDKErrors(t *testing.T) {
	cfg := serve(t, func(in any) (any, *aws.Error) { return nil, ecs.ClusterNotFoundException("Cluster not found.") })
	_, err := sdkecs.NewFromConfig(cfg).ListTasks(context.Background(), &sdkecs.ListTasksInput{})
	var missing *ecstypes.ClusterNotFoundException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "Cluster not found." {
		t.Errorf("ECS: %v", err)
	}
	_, err = sdkec2.NewFromConfig(cfg).DescribeVpcs(context.Background(), &sdkec2.DescribeVpcsInput{})
	var api interface {
		ErrorCode() string
		ErrorMessage() string
	}
	if !errors.As(err, &api) || api.ErrorCode() != "ClusterNotFoundException" || api.ErrorMessage() != "Cluster not found." {
		t.Errorf("EC2: %v", err)
	}
}
