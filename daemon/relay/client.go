package relay

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"minato/internal/frame"
)

// Build sends a directory to the relay at an address and returns the image's
// digest. dockerfile is a path on this side, within dir; "" is dir/Dockerfile.
// The archive that the Request asks for is written to archive, if it is not "".
func Build(ctx context.Context, address, dir, dockerfile, archive string, req Request, progress io.Writer) (string, error) {
	if dockerfile != "" {
		abs, err := filepath.Abs(dockerfile)
		if err != nil {
			return "", err
		}
		rel, err := filepath.Rel(dir, abs)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return "", fmt.Errorf("in a workspace the Dockerfile must be within %s", dir)
		}
		req.Dockerfile = filepath.ToSlash(rel)
	}
	req.Archive = archive != ""
	token, err := fetchToken(ctx, address)
	if err != nil {
		return "", err
	}
	head, err := json.Marshal(req)
	if err != nil {
		return "", err
	}
	body, sent := io.Pipe()
	go func() { sent.CloseWithError(pack(sent, dir)) }()
	defer body.Close()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, address+Path, body)
	if err != nil {
		return "", err
	}
	post.Header.Set("X-aws-ec2-metadata-token", token)
	post.Header.Set(header, base64.StdEncoding.EncodeToString(head))
	resp, err := http.DefaultClient.Do(post)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return "", errors.New(strings.TrimSpace(string(b)))
	}
	return follow(resp.Body, archive, progress)
}

// fetchToken asks for a token of the metadata service.
func fetchToken(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address+"/latest/api/token", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "3600")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the metadata service answered %s", resp.Status)
	}
	return string(b), err
}

// follow reads the frames of a build. The archive takes its place when it is
// whole.
func follow(r io.Reader, archive string, progress io.Writer) (digest string, err error) {
	var f *os.File
	if archive != "" {
		if f, err = os.CreateTemp(filepath.Dir(archive), ".minato-build-*"); err != nil {
			return "", err
		}
		defer os.Remove(f.Name()) // fails harmlessly after the rename
		defer f.Close()
	}
	for {
		k, b, err := frame.Read(r)
		if err != nil {
			return "", fmt.Errorf("the build broke off: %w", err)
		}
		switch {
		case k == kindProgress:
			_, err = progress.Write(b)
		case k == kindArchive && f != nil:
			_, err = f.Write(b)
		case k == kindFailed:
			return "", errors.New(string(b))
		case k == kindResult:
			var res result
			if err := json.Unmarshal(b, &res); err != nil {
				return "", err
			}
			if f == nil {
				return res.Digest, nil
			}
			return res.Digest, errors.Join(f.Chmod(0o644), f.Close(), os.Rename(f.Name(), archive))
		}
		if err != nil {
			return "", err
		}
	}
}
