// Package multiplex serves clients' connections that speak HTTP/2 over TLS, on event
// loops: crypto/tls turns bytes into bytes (Pipe), http2.Server says what they mean,
// and what the answers of all streams bring in a turn goes in one record and one
// write (Conn). A request is served on the loop's thread (Stream), or by a goroutine
// as net/http's handlers are (Handed). It knows nothing of load balancers.
package multiplex
