package accesslog

import (
	"net/url"
	"strconv"
	"strings"

	"minato/dataplane/proxy"
)

// connection writes the line of a connection to an application load balancer.
// The certificates of clients are of mutual TLS, which is not served here.
func (b *Balancer) connection(w *line, x *proxy.Connection) {
	w.stamp(x.At)
	w.plain(x.Client.Addr().String())
	w.number(int64(x.Client.Port()))
	w.number(int64(x.Port))
	w.plain(version(x.TLS))
	w.plain(cipher(x.TLS))
	status, exchange := "", ""
	if x.TLS != nil {
		status, exchange = "Success", group(x)
		w.seconds(x.Handshake)
	} else {
		w.plain("")
	}
	if x.TLS == nil && x.Secure {
		status = "Failed:UnmappedConnectionError"
	}
	w.text("")
	w.plain("")
	w.plain("")
	w.plain(status)
	w.plain("TID_" + x.Name)
	w.plain(exchange)
	w.plain(b.Name)
	w.plain(b.address(x.Node))
	w.b = append(w.b, '\n')
}

// group is the group of the key exchange; "" where it was RSA's.
func group(x *proxy.Connection) string {
	if x.TLS == nil || x.TLS.CurveID == 0 {
		return ""
	}
	name := strings.ToLower(x.TLS.CurveID.String())
	switch name {
	case "curvep256":
		return "secp256r1"
	case "curvep384", "curvep521":
		return "secp" + name[len("curvep"):] + "r1"
	}
	return name
}

// streamStamp is how network load balancers write times.
const streamStamp = "2006-01-02T15:04:05"

// stream writes the line of a connection over TLS to a network load balancer.
func (b *Balancer) stream(w *line, x *proxy.Connection) {
	w.plain("tls")
	w.plain("2.0")
	w.plain(x.At.UTC().Format(streamStamp))
	w.plain(b.Name)
	w.plain(x.Listener[strings.LastIndexByte(x.Listener, '/')+1:])
	w.address(x.Client)
	w.address(x.Target)
	w.plain(strconv.FormatInt(x.At.Sub(x.Accepted).Milliseconds(), 10))
	handshake, chosen, domain, front := "", "", "", ""
	if x.TLS != nil {
		handshake = strconv.FormatInt(x.Handshake.Milliseconds(), 10)
		chosen, domain, front = b.certificate(x.Listener, x.TLS), x.TLS.ServerName, x.TLS.NegotiatedProtocol
		if x.TLS.DidResume {
			chosen = ""
		}
	}
	w.plain(handshake)
	w.plain(strconv.FormatInt(x.BytesIn, 10))
	w.plain(strconv.FormatInt(x.BytesOut, 10))
	if x.Alert >= 0 {
		w.plain(strconv.Itoa(x.Alert))
	} else {
		w.plain("")
	}
	w.plain(chosen)
	w.plain("") // its serial number: ELB says none either
	w.plain(cipher(x.TLS))
	w.plain(strings.ToLower(strings.ReplaceAll(version(x.TLS), ".", "")))
	w.plain(group(x))
	w.plain(printable(domain))
	w.plain(printable(front))
	w.plain("") // no protocol is negotiated with targets
	w.plain(offered(x, front))
	w.plain(x.Accepted.UTC().Format(streamStamp))
	w.b = append(w.b, '\n')
}

// printable is a name that a client gave.
func printable(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "%2F", "/") }

// maxOffered is how long the list of protocols may be.
const maxOffered = 256

// offered are the protocols that a client offered, where the listener has a policy.
func offered(x *proxy.Connection, front string) string {
	if front == "" {
		return ""
	}
	var all []string
	for _, p := range x.Offered {
		all = append(all, `"`+printable(p)+`"`)
	}
	text := strings.Join(all, ",")
	return text[:min(len(text), maxOffered)]
}

// check writes the line of a health check.
func (b *Balancer) check(w *line, x *proxy.Checked) {
	kind := "http"
	switch {
	case x.Kind == proxy.CheckGRPC:
		kind = "grpc"
	case x.Kind == proxy.CheckHTTP2:
		kind = "h2"
	case x.TLS:
		kind = "https"
	}
	w.plain(kind)
	w.stamp(x.Result.At)
	w.plain(strconv.FormatFloat(x.Result.Latency.Seconds(), 'f', 9, 64))
	w.address(x.Target)
	w.plain(groupName(x.TargetGroup))
	result := "FAIL"
	if x.Result.Passed {
		result = "PASS"
	}
	w.plain(result)
	if x.Result.Status == 0 && x.Kind == proxy.CheckGRPC && (x.Result.Passed || x.Result.Reason == proxy.Mismatch) {
		w.number(0) // OK
	} else {
		w.status(x.Result.Status)
	}
	w.plain(reason(x))
	w.plain(b.Name)
	w.plain(b.address(x.Result.From))
	w.b = append(w.b, '\n')
}

// groupName is the name in the ARN of a target group.
func groupName(arn string) string {
	_, name, _ := strings.Cut(arn, ":targetgroup/")
	name, _, _ = strings.Cut(name, "/")
	return name
}

// reason is why a check failed, in ELB's words.
func reason(x *proxy.Checked) string {
	switch x.Result.Reason {
	case proxy.Timeout:
		return "TimedOut"
	case proxy.Failed:
		return "ConnectionReset"
	case proxy.Mismatch:
		switch {
		case x.Kind == proxy.CheckGRPC:
			return "GRPCUnexpectedStatus"
		case x.Result.Status >= 500:
			return "TargetError"
		}
		return "ResponseCodeMismatch"
	}
	return ""
}
