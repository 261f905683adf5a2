package build

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"
)

// hub is the name under which docker keeps Docker Hub's login, and under which
// BuildKit asks for it.
const (
	hubKey  = "https://index.docker.io/v1/"
	hubHost = "registry-1.docker.io"
)

// credentials answers the builder's question how to log in, from this process:
// the builder keeps no password. Tokens it fetches itself.
type credentials struct {
	auth.UnimplementedAuthServer
	config Config
	own    func(ctx context.Context, host string) (user, password string, err error)
	// noSaved: logins that are saved on this machine are not looked at.
	noSaved bool
}

// Register implements session.Attachable.
func (c *credentials) Register(server *grpc.Server) { auth.RegisterAuthServer(server, c) }

// Credentials implements auth.AuthServer.
func (c *credentials) Credentials(ctx context.Context, req *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	for _, own := range c.config.Registries {
		if strings.HasSuffix(req.Host, own.Suffix) && c.own != nil {
			user, password, err := c.own(ctx, req.Host)
			return &auth.CredentialsResponse{Username: user, Secret: password}, err
		}
	}
	if c.noSaved {
		return &auth.CredentialsResponse{}, nil
	}
	user, password, err := savedLogin(loginFiles(os.Getenv), req.Host)
	return &auth.CredentialsResponse{Username: user, Secret: password}, err
}

// loginFiles are where docker and skopeo keep logins, the most specific first.
func loginFiles(getenv func(string) string) []string {
	var files []string
	if f := getenv("REGISTRY_AUTH_FILE"); f != "" {
		files = append(files, f)
	}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	return append(files, filepath.Join(dir, "config.json"))
}

// savedLogin looks a host up in the files; without a login the pull is
// anonymous. Logins that a credential helper keeps are not seen.
func savedLogin(files []string, host string) (user, password string, err error) {
	key := host
	if host == hubHost {
		key = hubKey
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		var saved struct {
			Auths map[string]struct {
				Auth string `json:"auth"`
			} `json:"auths"`
		}
		if err := json.Unmarshal(b, &saved); err != nil {
			return "", "", fmt.Errorf("%s: %w", name, err)
		}
		if login := saved.Auths[key].Auth; login != "" {
			text, err := base64.StdEncoding.DecodeString(login)
			if err != nil {
				return "", "", fmt.Errorf("%s: the login for %s: %w", name, key, err)
			}
			user, password, _ := strings.Cut(string(text), ":")
			return user, password, nil
		}
	}
	return "", "", nil
}
