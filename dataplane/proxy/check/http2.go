package check

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"minato/dataplane/proxy"
)

// ask2 sends a check over HTTP/2 and returns the status of the answer, that of
// gRPC for a call.
func ask2(ctx context.Context, conn net.Conn, target netip.AddrPort, c proxy.Check) (int, error) {
	// Encrypted or not, it is a connection that speaks HTTP/2 from its first byte.
	tr := &http.Transport{
		Protocols: new(http.Protocols), DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	tr.Protocols.SetUnencryptedHTTP2(true)
	cc, err := tr.NewClientConn(ctx, "http", target.String())
	if err != nil {
		return 0, err
	}
	defer cc.Close()
	method, body := "GET", io.Reader(nil)
	if c.Kind == proxy.CheckGRPC {
		method, body = "POST", bytes.NewReader(make([]byte, 5)) // one empty message
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+target.String()+c.Path, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", UserAgent)
	if c.Kind == proxy.CheckGRPC {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
	}
	resp, err := cc.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if c.Kind != proxy.CheckGRPC {
		return resp.StatusCode, nil
	}
	status := resp.Header.Get("Grpc-Status")
	if status == "" {
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 256<<10)); err != nil {
			return 0, err
		}
		status = resp.Trailer.Get("Grpc-Status")
	}
	n, err := strconv.Atoi(status)
	if err != nil {
		return 0, errors.New("the answer has no gRPC status (HTTP status " + strconv.Itoa(resp.StatusCode) + ")")
	}
	return n, nil
}
