package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	pushSize   = 500_000_000
	pushRounds = 7
)

// push measures pushing a layer of 500 MB that cannot be compressed to minato's
// registry and to docker-registry, in turns, on the same disk, with the same
// client. Each round has content of its own, so that nothing is there already.
func (b *bench) push(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	if _, err := w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("pushed")}); err != nil {
		return err
	}
	ours, options, err := w.registry(ctx, "pushed")
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "layer")
	if err := randomFile(file, pushSize); err != nil {
		return err
	}
	defer os.Remove(file)
	peer, stop, err := b.distribution(ctx)
	if err != nil {
		b.leave("push_over_distribution: %v", err)
	} else {
		defer stop()
	}
	var our, their []float64
	for round := range pushRounds {
		l, err := newLayer(file, round)
		if err != nil {
			return err
		}
		mine := func() error {
			rate, err := pushOnce(ours, l, options)
			our = append(our, rate)
			return err
		}
		theirs := func() error {
			if peer == nil {
				return nil
			}
			rate, err := pushOnce(*peer, l, []remote.Option{remote.WithContext(ctx), remote.WithTransport(http.DefaultTransport)})
			their = append(their, rate)
			return err
		}
		if round%2 == 1 {
			mine, theirs = theirs, mine
		}
		if err := errors.Join(mine(), theirs()); err != nil {
			return err
		}
	}
	b.say("  MB/s in turns: %.0f and %.0f", our, their)
	b.add("push_mb_per_second", median(our), 0)
	if peer != nil {
		b.add("distribution_push_mb_per_second", median(their), 0)
		// The disk's speed changes within a run, for both: rounds are compared, not medians.
		ratios := make([]float64, len(our))
		for i := range our {
			ratios[i] = our[i] / their[i]
		}
		b.add("push_over_distribution", median(ratios), 2)
	}
	_, err = w.ecr.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: aws.String("pushed"), Force: true})
	return err
}

func pushOnce(repo name.Repository, l v1.Layer, options []remote.Option) (mbPerSecond float64, err error) {
	syscall.Sync() // what the one before left to be written is not this one's
	begin := time.Now()
	err = remote.WriteLayer(repo, l, options...)
	return pushSize / 1e6 / time.Since(begin).Seconds(), err
}

// distribution starts docker-registry with its files beside the instance's.
func (b *bench) distribution(ctx context.Context) (*name.Repository, func(), error) {
	path, err := exec.LookPath("docker-registry")
	if err != nil {
		return nil, nil, errors.New("docker-registry is not installed")
	}
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	root := filepath.Join(b.dir, "distribution")
	address := fmt.Sprintf("127.0.0.1:%d", port)
	config := filepath.Join(b.dir, "distribution.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", root, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	stop, err := start(ctx, exec.Command(path, "serve", config), address)
	if err != nil {
		return nil, nil, err
	}
	repo, err := name.NewRepository(address+"/pushed", name.Insecure)
	return &repo, func() {
		stop()
		os.RemoveAll(root) // the run's folder goes as a whole in the end
	}, err
}

func randomFile(file string, n int64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(rand.NewChaCha8([32]byte{1}), n))
	return errors.Join(err, f.Close())
}

// layer is a file as a layer; its first bytes tell the round.
type layer struct {
	file   string
	head   [8]byte
	digest v1.Hash
}

func newLayer(file string, round int) (*layer, error) {
	l := &layer{file: file}
	binary.BigEndian.PutUint64(l.head[:], uint64(time.Now().UnixNano())+uint64(round))
	r, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	l.digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
	return l, nil
}

// Digest implements v1.Layer.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements v1.Layer; the content is its own.
func (l *layer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Compressed implements v1.Layer.
func (l *layer) Compressed() (io.ReadCloser, error) {
	f, err := os.Open(l.file)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(int64(len(l.head)), io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(l.head[:]), f), f}, nil
}

// Uncompressed implements v1.Layer.
func (l *layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

// Size implements v1.Layer.
func (l *layer) Size() (int64, error) { return pushSize, nil }

// MediaType implements v1.Layer.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }
