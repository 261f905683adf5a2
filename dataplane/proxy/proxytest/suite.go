package proxytest

import (
	"testing"
)

// Run runs the suite against proxies made by n.
func Run(t *testing.T, n New) {
	for name, test := range map[string]func(*env){
		// rules.go
		"forwards with ALB's headers":          forwards,
		"rules by priority":                    rules,
		"conditions":                           conditions,
		"fixed answers and redirects":          ownAnswers,
		"rewrites":                             rewrites,
		"weights":                              weights,
		"round robin and least outstanding":    balances,
		"a config that contradicts itself":     contradictions,
		"sockets are tried again":              socketsRetried,
		"a listener goes":                      listenerGoes,
		"the same config twice changes naught": sameTwice,
		// http.go
		"keeps connections":             keepsConnections,
		"HEAD, 204 and 304":             bodiless,
		"answers that end by closing":   untilClose,
		"answers of any length":         lengths,
		"HTTP/1.0":                      http10,
		"streams down":                  streamsDown,
		"streams up":                    streamsUp,
		"100-continue":                  expects,
		"trailers":                      trailers,
		"early answers":                 earlyAnswers,
		"pipelining":                    pipelining,
		"WebSocket":                     webSocket,
		"smuggling":                     smuggling,
		"X-Forwarded-For modes":         forwardedModes,
		"headers that end at the proxy": hopByHop,
		"large uploads arrive whole":    largeUploads,
		"desync mitigation modes":       desync,
		// exchanges.go
		"requests are told of":        exchanges,
		"requests of HTTP/2 are, too": exchangesHTTP2,
		"connections are told of":     connections,
		"streams are told of":         connectionsOfStreams,
		"checks are told of":          checked,
		// tls.go
		"TLS with several certificates": tlsListener,
		"a client leaves TLS":           tlsClientLeaves,
		"TLS to targets":                tlsTargets,
		"names of TLS's headers":        tlsNames,
		"HTTP/2 clients":                http2Clients,
		"HTTP/2 and gRPC targets":       http2Targets,
		"the own answers over HTTP/2":   http2Errors,
		// http2.go
		"HTTP/2 clients and listeners that go": http2Leaves,
		"HTTP/2 heads that never end":          http2Slow,
		// hostile.go
		"the corpus of smuggling":    smugglingCorpus,
		"HTTP/2 that hides HTTP/1.1": http2Downgrade,
		"heads that never end":       slowHeads,
		"resets in every phase":      resets,
		"WebSockets of draining":     tunnelsDrain,
		"changes under load":         changes,
		// choice.go
		"sticky targets":            stickyTargets,
		"sticky by the application": stickyApplication,
		"sticky groups":             stickyGroups,
		"slow start":                slowStart,
		"zones":                     zones,
		"too few healthy":           fewHealthy,
		// streams.go
		"streams":                    streams,
		"streams to several targets": streamTargets,
		"streams to the unhealthy":   streamsToUnhealthy,
		"PROXY protocol":             proxyProtocol,
		"checks that only connect":   checksTCP,
		// faults.go
		"502, 503 and 504":                 gatewayErrors,
		"answers that are none":            malformedAnswers,
		"idle connections closed":          staleConnections,
		"unsafe requests are sent once":    unsafeOnce,
		"truncated answers stay truncated": truncated,
		"the client leaves":                clientLeaves,
		"another target when refused":      refusedElsewhere,
		// health.go
		"health":                    health,
		"fail open":                 failOpen,
		"groups in no rule":         unused,
		"health survives a restart": restored,
		"nobody to blame":           notReady,
		"draining":                  draining,
		"no request fails while targets are replaced": replaced,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newEnv(t, n))
		})
	}
}
