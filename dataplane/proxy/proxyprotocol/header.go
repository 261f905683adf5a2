// Package proxyprotocol tells a target who the client of a stream is: HAProxy's PROXY
// protocol, version 2.
package proxyprotocol

import (
	"encoding/binary"
	"net/netip"
)

// Header is the header of PROXY protocol version 2 for a TCP connection.
func Header(from, to netip.AddrPort) []byte {
	out := []byte("\r\n\r\n\x00\r\nQUIT\n\x21")
	src, dst := from.Addr().Unmap(), to.Addr().Unmap()
	if src.Is4() && dst.Is4() {
		out = append(out, 0x11, 0, 12)
	} else {
		out = append(out, 0x21, 0, 36)
	}
	out = append(append(out, src.AsSlice()...), dst.AsSlice()...)
	out = binary.BigEndian.AppendUint16(out, from.Port())
	return binary.BigEndian.AppendUint16(out, to.Port())
}
