package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// makeImage makes an image of one static program, as FROM scratch does, with
// arguments.
func makeImage(program string, args ...string) (v1.Image, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "answer", Mode: 0o755, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: "amd64", OS: "linux", RootFS: mustConfig(img).RootFS, Config: v1.Config{Entrypoint: append([]string{"/answer"}, args...)},
	})
}

// mustConfig is the config of an image that was made in memory.
func mustConfig(img v1.Image) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		panic(err)
	}
	return c
}

// image pushes the program's image to the instance's registry.
func (w *world) image(ctx context.Context, program string) error {
	img, err := makeImage(program)
	if err != nil {
		return err
	}
	repo, options, err := w.registry(ctx, repository)
	if err != nil {
		return err
	}
	return remote.Write(repo.Tag("latest"), img, options...)
}

// registry is the instance's registry by its plain address, logged in.
func (w *world) registry(ctx context.Context, repo string) (name.Repository, []remote.Option, error) {
	out, err := w.ecr.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return name.Repository{}, nil, err
	}
	token, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return name.Repository{}, nil, err
	}
	user, password, ok := strings.Cut(string(token), ":")
	if !ok {
		return name.Repository{}, nil, fmt.Errorf("an authorization token without a colon")
	}
	r, err := name.NewRepository(w.in.Listen+"/"+repo, name.Insecure)
	return r, []remote.Option{remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: user, Password: password}), remote.WithTransport(http.DefaultTransport)}, err
}
