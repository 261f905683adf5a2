package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

const stackRounds = 3

// stack measures create-stack to CREATE_COMPLETE of the workshop's template
// without its database, filled up to 26 resources with what the learner makes
// next: the cluster and the repository.
func (b *bench) stack(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	template, n, err := stackTemplate("examples/workshop/template.json")
	if err != nil {
		return err
	}
	var took []float64
	for range stackRounds {
		begin := time.Now()
		if _, err := w.cfn.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("bench"), TemplateBody: &template}); err != nil {
			return err
		}
		if err := w.stackReaches(ctx, "CREATE_COMPLETE"); err != nil {
			return err
		}
		took = append(took, time.Since(begin).Seconds())
		if _, err := w.cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("bench")}); err != nil {
			return err
		}
		if err := w.stackReaches(ctx, "DELETE_COMPLETE"); err != nil {
			return err
		}
	}
	b.add("stack_resources", float64(n), 0)
	b.add("stack_26_seconds", median(took), 2)
	return nil
}

// stackTemplate is the workshop's template, cut and filled.
func stackTemplate(file string) (string, int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", 0, err
	}
	var t map[string]any
	if err := json.Unmarshal(text, &t); err != nil {
		return "", 0, err
	}
	resources, ok := t["Resources"].(map[string]any)
	if !ok {
		return "", 0, fmt.Errorf("%s has no Resources", file)
	}
	delete(resources, "Database")
	if outputs, ok := t["Outputs"].(map[string]any); ok { // those of the database go with it
		for name, o := range outputs {
			b, err := json.Marshal(o)
			if err != nil {
				return "", 0, err
			}
			if strings.Contains(string(b), `"Database`) {
				delete(outputs, name)
			}
		}
	}
	resources["Cluster"] = map[string]any{"Type": "AWS::ECS::Cluster", "Properties": map[string]any{"ClusterName": "stack"}}
	resources["Repository"] = map[string]any{"Type": "AWS::ECR::Repository", "Properties": map[string]any{"RepositoryName": "stack"}}
	out, err := json.Marshal(t)
	return string(out), len(resources), err
}

func (w *world) stackReaches(ctx context.Context, want string) error {
	ended := error(nil)
	err := until(ctx, 90*time.Second, "the stack is "+want, func() (bool, error) {
		out, err := w.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String("bench")})
		if err != nil {
			return want == "DELETE_COMPLETE" && strings.Contains(err.Error(), "does not exist"), err
		}
		s := string(out.Stacks[0].StackStatus)
		if s != want && !strings.HasSuffix(s, "_IN_PROGRESS") {
			ended = fmt.Errorf("the stack is %s: %s", s, w.stackFailures(ctx))
		}
		return s == want || ended != nil, nil
	})
	if ended != nil {
		return ended
	}
	return err
}

func (w *world) stackFailures(ctx context.Context) string {
	out, err := w.cfn.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: aws.String("bench")})
	if err != nil {
		return err.Error()
	}
	var reasons []string
	for _, e := range out.StackEvents {
		if e.ResourceStatus == cfntypes.ResourceStatusCreateFailed || e.ResourceStatus == cfntypes.ResourceStatusDeleteFailed {
			reasons = append(reasons, aws.ToString(e.LogicalResourceId)+": "+aws.ToString(e.ResourceStatusReason))
		}
	}
	return strings.Join(reasons, "; ")
}
