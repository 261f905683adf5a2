package elbv2

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"minato/services/elbv2/accesslog"
)

// attribute is one setting of a load balancer, a target group or a listener:
// AWS's default and what minato takes.
type attribute struct {
	def   string
	check func(v string) bool // nil: any value
	// only is the one value minato serves; others that AWS knows are refused by
	// name.
	only bool
}

func boolean(v string) bool { return v == "true" || v == "false" }

func between(from, to int) func(string) bool {
	return func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && n >= from && n <= to
	}
}

func oneOf(values ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(values, v) }
}

// or takes what either check takes.
func or(x, y func(string) bool) func(string) bool {
	return func(v string) bool { return x(v) || y(v) }
}

// balancerAttributes are those of application load balancers.
var balancerAttributes = with(logs(accesslog.Access, accesslog.Connections, accesslog.Checks), map[string]attribute{
	"client_keep_alive.seconds":                                {def: "3600", check: between(60, 604800)},
	"deletion_protection.enabled":                              {def: "false", check: boolean},
	"idle_timeout.timeout_seconds":                             {def: "60", check: between(1, 4000)},
	"ipv6.deny_all_igw_traffic":                                {def: "false", check: boolean, only: true},
	"load_balancing.cross_zone.enabled":                        {def: "true", check: oneOf("true")},
	"routing.http.desync_mitigation_mode":                      {def: "defensive", check: oneOf("monitor", "defensive", "strictest")},
	"routing.http.drop_invalid_header_fields.enabled":          {def: "false", check: boolean},
	"routing.http.preserve_host_header.enabled":                {def: "false", check: boolean},
	"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": {def: "false", check: boolean},
	"routing.http.xff_client_port.enabled":                     {def: "false", check: boolean},
	"routing.http.xff_header_processing.mode":                  {def: "append", check: oneOf("append", "preserve", "remove")},
	"routing.http2.enabled":                                    {def: "true", check: boolean},
	"waf.fail_open.enabled":                                    {def: "false", check: boolean, only: true},
	"zonal_shift.config.enabled":                               {def: "false", check: boolean, only: true},
})

// networkAttributes are those of network load balancers.
var networkAttributes = with(logs(accesslog.Access), map[string]attribute{
	"deletion_protection.enabled":            {def: "false", check: boolean},
	"dns_record.client_routing_policy":       {def: "any_availability_zone", check: oneOf("any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"), only: true},
	"ipv6.deny_all_igw_traffic":              {def: "false", check: boolean, only: true},
	"load_balancing.cross_zone.enabled":      {def: "false", check: boolean},
	"secondary_ips.auto_assigned.per_subnet": {def: "0", check: between(0, 7), only: true},
	"zonal_shift.config.enabled":             {def: "false", check: boolean, only: true},
})

// Those of internal load balancers, which no internet gateway leads to.
var (
	noGateway                  = map[string]attribute{"ipv6.deny_all_igw_traffic": {def: "true", check: boolean, only: true}}
	internalBalancerAttributes = with(balancerAttributes, noGateway)
	internalNetworkAttributes  = with(networkAttributes, noGateway)
)

const (
	delayKey     = "deregistration_delay.timeout_seconds"
	algorithmKey = "load_balancing.algorithm.type"
	crossZoneKey = "load_balancing.cross_zone.enabled"
	slowStartKey = "slow_start.duration_seconds"
	stickyKey    = "stickiness.enabled"
	stickyType   = "stickiness.type"
	lbLife       = "stickiness.lb_cookie.duration_seconds"
	appCookieKey = "stickiness.app_cookie.cookie_name"
	appLife      = "stickiness.app_cookie.duration_seconds"
	minCount     = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
	minPercent   = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
	dnsCount     = "target_group_health.dns_failover.minimum_healthy_targets.count"
	dnsPercent   = "target_group_health.dns_failover.minimum_healthy_targets.percentage"
	proxyKey2    = "proxy_protocol_v2.enabled"
	terminateKey = "deregistration_delay.connection_termination.enabled"
	cutKey       = "target_health_state.unhealthy.connection_termination.enabled"
	idleKey      = "tcp.idle_timeout.seconds"
	versionKey   = "routing.http.request.x_amzn_tls_version.header_name"
	cipherKey    = "routing.http.request.x_amzn_tls_cipher_suite.header_name"

	crossZoneOfBalancer = "use_load_balancer_configuration"
)

// common are the attributes of every target group.
var common = map[string]attribute{
	delayKey:     {def: "300", check: between(0, 3600)},
	crossZoneKey: {def: crossZoneOfBalancer, check: oneOf("true", "false", crossZoneOfBalancer)},
	stickyKey:    {def: "false", check: boolean},
	minCount:     {def: "1", check: between(1, 1000)},
	minPercent:   {def: "off", check: or(oneOf("off"), between(1, 100))},
	dnsCount:     {def: "1", check: or(oneOf("off"), between(1, 1000))},
	dnsPercent:   {def: "off", check: or(oneOf("off"), between(1, 100))},
}

// groupAttributes are those of target groups of HTTP and HTTPS.
var groupAttributes = with(common, map[string]attribute{
	algorithmKey: {def: "round_robin", check: oneOf("round_robin", "least_outstanding_requests", "weighted_random")},
	"load_balancing.algorithm.anomaly_mitigation": {def: "off", check: oneOf("on", "off"), only: true},
	slowStartKey: {def: "0", check: or(oneOf("0"), between(30, 900))},
	stickyType:   {def: "lb_cookie", check: oneOf("lb_cookie", "app_cookie")},
	lbLife:       {def: "86400", check: between(1, 604800)},
	appCookieKey: {},
	appLife:      {def: "86400", check: between(1, 604800)},
})

// streamGroupAttributes are those of target groups of TCP and TLS.
var streamGroupAttributes = with(common, map[string]attribute{
	terminateKey:                 {def: "false", check: boolean},
	"preserve_client_ip.enabled": {def: "false", check: boolean, only: true},
	proxyKey2:                    {def: "false", check: boolean},
	stickyType:                   {def: "source_ip", check: oneOf("source_ip")},
	cutKey:                       {def: "true", check: boolean},
	"target_health_state.unhealthy.draining_interval_seconds": {def: "0", check: between(0, 360000), only: true},
})

// listenerAttributes are those of listeners of HTTP and HTTPS.
var listenerAttributes = map[string]attribute{
	"routing.http.response.server.enabled": {def: "true", check: boolean},

	"routing.http.response.strict_transport_security.header_value":        {check: headerValue},
	"routing.http.response.content_security_policy.header_value":          {check: headerValue},
	"routing.http.response.x_content_type_options.header_value":           {check: oneOf("", "nosniff")},
	"routing.http.response.x_frame_options.header_value":                  {check: headerValue},
	"routing.http.response.access_control_allow_origin.header_value":      {check: headerValue},
	"routing.http.response.access_control_allow_methods.header_value":     {check: headerValue},
	"routing.http.response.access_control_allow_headers.header_value":     {check: headerValue},
	"routing.http.response.access_control_allow_credentials.header_value": {check: oneOf("", "true")},
	"routing.http.response.access_control_expose_headers.header_value":    {check: headerValue},
	"routing.http.response.access_control_max_age.header_value":           {check: or(oneOf(""), between(0, 86400))},

	versionKey: {check: or(oneOf(""), headerName)},
	cipherKey:  {check: or(oneOf(""), headerName)},
	"routing.http.request.x_amzn_mtls_clientcert.header_name":               {only: true},
	"routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name": {only: true},
	"routing.http.request.x_amzn_mtls_clientcert_issuer.header_name":        {only: true},
	"routing.http.request.x_amzn_mtls_clientcert_subject.header_name":       {only: true},
	"routing.http.request.x_amzn_mtls_clientcert_validity.header_name":      {only: true},
	"routing.http.request.x_amzn_mtls_clientcert_leaf.header_name":          {only: true},
}

// responseHeader is the field that an attribute sets in every answer, "" for
// other attributes.
func responseHeader(key string) string {
	name, ok := strings.CutPrefix(key, "routing.http.response.")
	if name, isValue := strings.CutSuffix(name, ".header_value"); ok && isValue {
		return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	return ""
}

// framing are the fields that say where a request goes and where it ends.
var framing = []string{"host", "connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer", "keep-alive", "proxy-connection"}

// headerName takes what may be the name of a field that is ours to set.
func headerName(v string) bool {
	return !slices.Contains(framing, strings.ToLower(v)) && len(v) <= 40 && v != "" && strings.Trim(strings.ToLower(v), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// headerValue takes what may stand in a field of a head.
func headerValue(v string) bool {
	return len(v) <= 1024 && strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// streamListenerAttributes are those of listeners of TCP and TLS.
var streamListenerAttributes = map[string]attribute{
	idleKey: {def: "350", check: between(60, 6000)},
}

func with(x, y map[string]attribute) map[string]attribute {
	out := map[string]attribute{}
	for _, m := range []map[string]attribute{x, y} {
		for k, a := range m {
			out[k] = a
		}
	}
	return out
}
