package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DefaultKeep is how many bytes of cache are kept when nothing else is said.
const DefaultKeep = 10 << 30

// defaultIdle is how long the builder waits for the next build.
const defaultIdle = 15 * time.Second

// Config is what a builder is started with. The folders identify it: the same
// folders, the same builder.
type Config struct {
	Root   string // its cache, in the data directory
	RunDir string // its socket, a short path
	Keep   int64  // bytes of cache; 0: DefaultKeep
	Idle   time.Duration
	// Registries are those that are reached at another address than their name
	// says: our own.
	Registries []Registry
	// Confined: see the function of that name.
	Confined bool
}

// Registry is a registry of ours: hosts whose names end in Suffix are served
// over plain HTTP at Address, which is on loopback.
type Registry struct{ Suffix, Address string }

// At is the configuration of an instance's builder.
func At(dataDir, runDir string) Config {
	return Config{Root: filepath.Join(dataDir, "builder"), RunDir: runDir}
}

func (c Config) check() error {
	if !filepath.IsAbs(c.Root) || !filepath.IsAbs(c.RunDir) {
		return errors.New("the builder's folders must be absolute paths")
	}
	return nil
}

func (c Config) socket() string { return filepath.Join(c.RunDir, filepath.Base(c.Root)+".sock") }

// registriesFile is read for every connection to a registry, because the
// builder may outlive the daemon and its port.
func (c Config) registriesFile() string { return filepath.Join(c.Root, "registries.json") }

func (c Config) writeRegistries() error {
	b, err := json.Marshal(c.Registries)
	if err != nil {
		return err
	}
	name := c.registriesFile()
	tmp := fmt.Sprintf("%s.%d", name, os.Getpid())
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// address returns where a host is reached, if it is a registry of ours.
func (c Config) address(host string) (string, error) {
	b, err := os.ReadFile(c.registriesFile())
	if err != nil {
		return "", err
	}
	var all []Registry
	if err := json.Unmarshal(b, &all); err != nil {
		return "", fmt.Errorf("%s: %w", c.registriesFile(), err)
	}
	for _, r := range all {
		if strings.HasSuffix(host, r.Suffix) {
			return r.Address, nil
		}
	}
	return "", nil
}
