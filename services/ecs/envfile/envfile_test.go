package envfile

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	s3api "minato/aws/api/s3"
	"minato/services/ecs/secrets"

	"minato/services/ecs/reach"
)

func TestParse(t *testing.T) {
	const file = "A=1\n# B=2\n#C=3\nD = e f \nE=\"quoted\"\nF=\n=g\nnothing\nH=a=b#c\r\n\nA=last\n  I=indented\nJ=no end of line"
	want := []string{"A=last", "D = e f ", `E="quoted"`, "H=a=b#c", "  I=indented", "J=no end of line"}
	if got := Parse([]byte(file)); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("A=1\nB=2\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		seen := map[string]bool{}
		for _, v := range Parse(content) {
			name, value, ok := strings.Cut(v, "=")
			if !ok || name == "" || value == "" || seen[name] || strings.ContainsAny(v, "\n\x00") {
				t.Fatalf("%q of %q", v, content)
			}
			seen[name] = true
		}
	})
}

// shelf has files by bucket/key.
type shelf struct {
	files map[string]string
	asked int
}

func (s *shelf) GetBucketLocation(_ context.Context, in *s3api.GetBucketLocationInput) (*s3api.GetBucketLocationOutput, error) {
	if *in.Bucket != "b" {
		return nil, &aws.Error{Code: "NoSuchBucket", Message: "The specified bucket does not exist", Status: 404}
	}
	return &s3api.GetBucketLocationOutput{}, nil
}

func (s *shelf) GetObject(_ context.Context, in *s3api.GetObjectInput) (*s3api.GetObjectOutput, error) {
	s.asked++
	text, ok := s.files[*in.Bucket+"/"+*in.Key]
	if !ok {
		return nil, &aws.Error{Code: "NoSuchKey", Message: "The specified key does not exist.", Status: 404}
	}
	return &s3api.GetObjectOutput{Body: io.NopCloser(strings.NewReader(text))}, nil
}

func TestAdd(t *testing.T) {
	s := &shelf{files: map[string]string{"b/one.env": "A=one\nB=one\nC=one\nS=one", "b/two.env": "B=two\nD=two", "b/big.env": strings.Repeat("x", maxFile+1)}}
	away := false
	r := &Resolver{S3: s, As: func(ctx context.Context) (context.Context, error) { return ctx, nil }, Reach: func(context.Context, int) (reach.Mark, error) {
		if away {
			return nil, errors.New("no route")
		}
		return func(ctx context.Context) context.Context { return ctx }, nil
	}}
	containers := func(files ...string) []ecsapi.ContainerDefinition {
		c := ecsapi.ContainerDefinition{Name: aws.Ptr("c")}
		for _, f := range files {
			c.EnvironmentFiles = append(c.EnvironmentFiles, ecsapi.EnvironmentFile{Type: aws.Ptr("s3"), Value: aws.Ptr("arn:aws:s3:::" + f)})
		}
		second := c
		second.Name = aws.Ptr("d")
		return []ecsapi.ContainerDefinition{c, second, {Name: aws.Ptr("none")}}
	}
	set := func(string) []string { return []string{"A=set"} }
	to := secrets.Environment{"c": {"S=secret"}}
	if err := r.Add(t.Context(), containers("b/one.env", "b/two.env"), to, set); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(to["c"], []string{"S=secret", "B=one", "C=one", "D=two"}) || !slices.Equal(to["d"], []string{"B=one", "C=one", "S=one", "D=two"}) || to["none"] != nil || s.asked != 2 {
		t.Errorf("%q, asked %d times", to, s.asked)
	}
	const prefix = "ResourceInitializationError: failed to download env files: file download command: non empty error stream: "
	for file, want := range map[string]string{
		"b/none.env": "NoSuchKey: The specified key does not exist. status code: 404, request id: ", "other/x.env": "NoSuchBucket: The specified bucket does not exist status code: 404",
		"b": "invalid s3 arn: arn:aws:s3:::b", "b/big.env": "the file arn:aws:s3:::b/big.env is larger than",
	} {
		if err := r.Add(t.Context(), containers(file), secrets.Environment{}, set); err == nil || !strings.HasPrefix(err.Error(), prefix+want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	away = true
	if err := r.Add(t.Context(), containers("b/one.env"), to, set); err == nil || !strings.HasPrefix(err.Error(), prefix+"service call has been retried 5 time(s): RequestCanceled") {
		t.Errorf("without a way: %v", err)
	}
}
