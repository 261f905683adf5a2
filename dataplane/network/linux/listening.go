package linux

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Listening implements network.Network. The kernel shows the sockets of the
// namespace that the reading thread is in.
func (n *Network) Listening(_ context.Context, eni string) ([]netip.AddrPort, error) {
	ns, err := os.Open(n.NetnsPath(eni))
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", eni, err)
	}
	defer ns.Close()
	var out []netip.AddrPort
	err = inNS(ns, func() error {
		for _, family := range []string{"tcp", "tcp6"} {
			f, err := os.Open(fmt.Sprintf("/proc/self/task/%d/net/%s", unix.Gettid(), family))
			if errors.Is(err, fs.ErrNotExist) {
				continue // a kernel without IPv6
			}
			if err != nil {
				return err
			}
			found, err := parseListening(f)
			f.Close()
			if err != nil {
				return err
			}
			out = append(out, found...)
		}
		return nil
	})
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out), err
}

// listenState is TCP_LISTEN in /proc/net/tcp.
const listenState = "0A"

// parseListening reads the listening sockets of /proc/net/tcp or tcp6, whose
// addresses are words of 32 bits in the machine's order, little-endian here.
func parseListening(r io.Reader) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	lines := bufio.NewScanner(r)
	for first := true; lines.Scan(); first = false {
		f := strings.Fields(lines.Text())
		if first || len(f) < 4 || f[3] != listenState {
			continue
		}
		address, port, ok := strings.Cut(f[1], ":")
		b, err := hex.DecodeString(address)
		if !ok || err != nil || len(b)%4 != 0 {
			return nil, fmt.Errorf("a socket at %q", f[1])
		}
		for i := 0; i < len(b); i += 4 {
			slices.Reverse(b[i : i+4])
		}
		a, ok := netip.AddrFromSlice(b)
		p, err := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil {
			return nil, fmt.Errorf("a socket at %q", f[1])
		}
		out = append(out, netip.AddrPortFrom(a.Unmap(), uint16(p)))
	}
	return out, lines.Err()
}
