// Package engine is minato's own load balancer: a lean HTTP/1.1 proxy behind
// the interface of dataplane/proxy, with ALB's manners.
//
// # Two ways
//
// What most requests are - HTTP/1.1 without a fault, their bodies short or none,
// forwarded to a target that speaks plain HTTP/1.1 - is served by lanes: an event
// loop per processor (dataplane/proxy/loop) with its own connections to targets
// (lane.go, fast_client.go, fast_target.go). No goroutine wakes another for a
// request, and nothing is allocated. Lanes accept their connections themselves
// (accept.go). Clients' TLS is crypto/tls there as anywhere, handshakes included;
// below it lies memory instead of a socket (fast_tls.go, dataplane/proxy/secure).
//
// All else is a goroutine's: streams, uploads, WebSockets,
// answers of the load balancer's own, requests with faults, second tries on other
// targets, errors. A lane that meets one of these gives the connection away, with
// the bytes it has read; the goroutine begins with that request anew and keeps
// the connection. So a lane never answers by itself, and for everything but the
// plain case there is one place. Rules, choice of target, heads and counting are
// the same code on both ways.
//
// # A goroutine's way
//
// It serves a client connection, one request after another:
//
//	read head (client.go) -> rules (table.go) -> own answer (answer.go)
//	                                          -> target (forward.go):
//	    choose -> idle connection or dial (package targets)
//	    -> head, with the body if it is here already, in one write
//	    -> the answer's head and what came with it, in one write
//	    -> pieces as they come (stream.Body), never gathered
//
// A second goroutine exists only while a request's body is still coming in
// (upload.go) or a connection has become a tunnel (tunnel.go). Heads are slices
// of the connection's buffer and are written anew for the other side, so nothing
// malformed passes through.
//
// # Retries
//
// Nothing was sent: another target is tried, unless the target did not answer
// the dial in time (504). A request on a pooled connection got not one byte of
// an answer: it is sent again on a new connection to the same target if that
// cannot do harm, which is so when the method is safe to repeat or when the
// target's kernel refused the bytes. Requests whose body is not here yet cannot
// be sent twice, and so always get a new connection. All else is 502.
//
// # Beside HTTP/1.1
//
// TLS ends at the socket (tls.go); what is served then is the same.
//
// A client that chose HTTP/2 is served by a lane, over dataplane/proxy/multiplex.
// Requests without bodies go to plain targets over the lane's own connections
// (fast_stream.go); all others are a goroutine's each (http2.go), between which and
// the lane lie two bounded buffers. What the answers of all streams bring in a turn
// goes in one record and one write: with 16 connections of 4 streams that, and the
// missing hand-overs, made almost six times as many requests as net/http's server did.
//
// Rules, choice of target, heads and counting are the same code everywhere (visit.go,
// sticky.go, package targets). Targets that speak HTTP/2, gRPC among them, are reached by
// http.Transport; all others by the pools above. A listener of streams gives each
// connection to one target (passthrough.go).
package engine
