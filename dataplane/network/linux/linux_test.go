package linux

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"minato/dataplane/network"
	"minato/dataplane/network/networktest"
	"minato/internal/ids"
)

// newOptions returns those of a new instance, for root only, and checks at the end
// that nothing of it is left.
func newOptions(t testing.TB) Options {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	o := Options{
		ID: ids.Hex(6), Dir: filepath.Join(t.TempDir(), "netns"), ServicePorts: []uint16{443, 4566},
		// Reserved, on no LAN, and no instance's: others run beside this test.
		PublicCIDR: netip.MustParsePrefix(fmt.Sprintf("240.%d.%d.0/24", rand.IntN(256), rand.IntN(256))), Log: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	}
	t.Cleanup(func() {
		leaks, err := Leaks(o.ID, o.Dir, o.PublicCIDR)
		if err != nil || len(leaks) > 0 {
			t.Errorf("left on the host: %v %v", leaks, err)
			if err := Purge(o); err != nil {
				t.Error(err)
			}
		}
	})
	return o
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) { l.t.Logf("%s", b); return len(b), nil }

func TestContract(t *testing.T) {
	o := newOptions(t)
	networktest.Run(t, o.PublicCIDR, func(netip.Prefix) (network.Network, error) { return Open(o) })
}

func TestPackets(t *testing.T) {
	o := newOptions(t)
	start := time.Now()
	networktest.Packets(t, o.PublicCIDR, func(netip.Prefix) (network.Network, error) { return Open(o) })
	t.Logf("%s", time.Since(start))
}
