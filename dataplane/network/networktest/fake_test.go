package networktest

import (
	"net/netip"
	"testing"

	"minato/dataplane/network"
)

func TestFake(t *testing.T) {
	Run(t, netip.MustParsePrefix("198.18.0.0/16"), func(netip.Prefix) (network.Network, error) { return NewFake(), nil })
}
