package elbv2

import (
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
)

// maxForward is how many target groups one action may forward to.
const maxForward = 5

// redirectKeywords are the parts of a request that a redirect may name.
var redirectKeywords = strings.NewReplacer("#{protocol}", "", "#{host}", "", "#{port}", "", "#{path}", "", "#{query}", "")

// checkActions checks the actions of a rule or listener and writes them as AWS
// shows them: with every default, and forwards both short and long.
func checkActions(in []elbapi.Action) ([]elbapi.Action, error) {
	if len(in) == 0 {
		return nil, invalid("At least one action must be specified")
	}
	for i := range in {
		switch t := aws.Val(in[i].Type); t {
		case elbapi.ActionTypeEnumForward, elbapi.ActionTypeEnumRedirect, elbapi.ActionTypeEnumFixedResponse:
		default:
			return nil, notServed("Actions of type '" + t + "'")
		}
	}
	if len(in) > 1 {
		return nil, elbapi.InvalidLoadBalancerActionException("You cannot specify multiple actions of type 'forward', 'redirect' or 'fixed-response'")
	}
	if err := onlyItsConfig(&in[0]); err != nil {
		return nil, err
	}
	a, err := checkAction(in[0])
	return []elbapi.Action{a}, err
}

// onlyItsConfig refuses what an action of another type would have.
func onlyItsConfig(a *elbapi.Action) error {
	t := aws.Val(a.Type)
	for _, m := range []struct {
		of, name string
		given    bool
	}{
		{elbapi.ActionTypeEnumForward, "TargetGroupArn", a.TargetGroupArn != nil},
		{elbapi.ActionTypeEnumForward, "ForwardConfig", a.ForwardConfig != nil},
		{elbapi.ActionTypeEnumRedirect, "RedirectConfig", a.RedirectConfig != nil},
		{elbapi.ActionTypeEnumFixedResponse, "FixedResponseConfig", a.FixedResponseConfig != nil},
		{elbapi.ActionTypeEnumAuthenticateOidc, "AuthenticateOidcConfig", a.AuthenticateOidcConfig != nil},
		{elbapi.ActionTypeEnumAuthenticateCognito, "AuthenticateCognitoConfig", a.AuthenticateCognitoConfig != nil},
		{elbapi.ActionTypeEnumJwtValidation, "JwtValidationConfig", a.JwtValidationConfig != nil},
	} {
		if m.given && m.of != t {
			return elbapi.InvalidLoadBalancerActionException("'%s' cannot be specified for an action of type '%s'", m.name, t)
		}
	}
	return nil
}

func checkAction(a elbapi.Action) (elbapi.Action, error) {
	switch aws.Val(a.Type) {
	case elbapi.ActionTypeEnumRedirect:
		if a.RedirectConfig == nil {
			return a, elbapi.InvalidLoadBalancerActionException("A redirect action must have a redirect configuration")
		}
		r := *a.RedirectConfig
		r.Protocol, r.Port = aws.Ptr(setting(r.Protocol, "#{protocol}")), aws.Ptr(setting(r.Port, "#{port}"))
		r.Host, r.Path = aws.Ptr(setting(r.Host, "#{host}")), aws.Ptr(setting(r.Path, "/#{path}"))
		r.Query = aws.Ptr(setting(r.Query, "#{query}"))
		if *r.Path == "" || (*r.Path)[0] != '/' {
			return a, invalid("The redirect path '%s' must begin with a '/' character", *r.Path)
		}
		if n, err := strconv.Atoi(*r.Port); *r.Port != "#{port}" && (err != nil || n < 1 || n > 65535) {
			return a, invalid("The redirect port '%s' must be '#{port}' or in the range '1-65535'", *r.Port)
		}
		for _, part := range []*string{r.Host, r.Path, r.Query} {
			if strings.Contains(redirectKeywords.Replace(*part), "#{") {
				return a, invalid("The redirect configuration value '%s' contains a keyword that is not valid: it must be one of '#{protocol}, #{host}, #{port}, #{path}, #{query}'", *part)
			}
		}
		if p := *r.Protocol; p != "#{protocol}" && p != elbapi.ProtocolEnumHttp && p != elbapi.ProtocolEnumHttps {
			return a, invalid("The redirect protocol '%s' must be '#{protocol}', 'HTTP' or 'HTTPS'", p)
		}
		a.RedirectConfig = &r
	case elbapi.ActionTypeEnumFixedResponse:
		f := a.FixedResponseConfig
		if f == nil || f.StatusCode == nil {
			return a, elbapi.InvalidLoadBalancerActionException("A fixed-response action must have a status code")
		}
		if n, err := strconv.Atoi(*f.StatusCode); err != nil || n < 200 || n > 599 || n >= 300 && n < 400 {
			return a, invalid("The fixed response status code '%s' must be a 2XX, 4XX or 5XX code", *f.StatusCode)
		}
		if len(aws.Val(f.MessageBody)) > 1024 {
			return a, invalid("The fixed response message body cannot be longer than '1024' characters")
		}
		if !slices.Contains([]string{"", "text/plain", "text/css", "text/html", "application/javascript", "application/json"}, aws.Val(f.ContentType)) {
			return a, invalid("The fixed response content type '%s' is not valid", aws.Val(f.ContentType))
		}
	default:
		return checkForward(a)
	}
	return a, nil
}

func checkForward(a elbapi.Action) (elbapi.Action, error) {
	f := elbapi.ForwardActionConfig{}
	if a.ForwardConfig != nil {
		f = *a.ForwardConfig
	}
	stickiness := &elbapi.TargetGroupStickinessConfig{Enabled: aws.Ptr(false)}
	if st := f.TargetGroupStickinessConfig; st != nil && aws.Val(st.Enabled) {
		if d := aws.Val(st.DurationSeconds); d < 1 || d > 604800 {
			return a, invalid("Target group stickiness duration must be between 1 and 604800 seconds")
		}
		stickiness = st
	}
	switch {
	case len(f.TargetGroups) == 0 && a.TargetGroupArn == nil:
		return a, invalid("A target group ARN must be specified")
	case len(f.TargetGroups) == 0:
		f.TargetGroups = []elbapi.TargetGroupTuple{{TargetGroupArn: a.TargetGroupArn, Weight: aws.Ptr(int32(1))}}
	case a.TargetGroupArn != nil && (len(f.TargetGroups) != 1 || aws.Val(f.TargetGroups[0].TargetGroupArn) != *a.TargetGroupArn):
		return a, invalid("You can specify both a target group ARN and a forward configuration only if the configuration has this one target group")
	case len(f.TargetGroups) > maxForward:
		return a, elbapi.TooManyUniqueTargetGroupsPerLoadBalancerException("The maximum number of target groups per forward action, '%d', has been reached", maxForward)
	}
	f.TargetGroups = slices.Clone(f.TargetGroups)
	seen := map[string]bool{}
	for i := range f.TargetGroups {
		g := &f.TargetGroups[i]
		if seen[aws.Val(g.TargetGroupArn)] {
			return a, invalid("The target group '%s' is specified twice", aws.Val(g.TargetGroupArn))
		}
		seen[aws.Val(g.TargetGroupArn)] = true
		if w := setting(g.Weight, 1); w < 0 || w > 999 {
			return a, invalid("Target group weight '%d' must be between '0' and '999'", w)
		}
		g.Weight = aws.Ptr(setting(g.Weight, 1))
	}
	f.TargetGroupStickinessConfig = stickiness
	a.ForwardConfig = &f
	if len(f.TargetGroups) == 1 {
		a.TargetGroupArn = f.TargetGroups[0].TargetGroupArn
	}
	return a, nil
}

// may refuses actions that the listener cannot take: a redirect to itself, and of
// streams all but to forward them.
func (l *listener) may(actions []elbapi.Action) error {
	for i := range actions {
		if t := aws.Val(actions[i].Type); stream(l.Protocol) && t != elbapi.ActionTypeEnumForward {
			return elbapi.InvalidLoadBalancerActionException("Actions of type '%s' are not supported for listeners with protocol '%s'", t, aws.Val(l.Protocol))
		}
		r := actions[i].RedirectConfig
		if r == nil {
			continue
		}
		keeps := func(v *string, placeholder, own string) bool {
			return aws.Val(v) == placeholder || own != "" && strings.EqualFold(aws.Val(v), own)
		}
		if keeps(r.Protocol, "#{protocol}", aws.Val(l.Protocol)) && keeps(r.Port, "#{port}", strconv.Itoa(int(aws.Val(l.Port)))) &&
			keeps(r.Host, "#{host}", "") && keeps(r.Path, "/#{path}", "") {
			return elbapi.InvalidLoadBalancerActionException("The redirect configuration is not valid because it creates a loop.")
		}
	}
	return nil
}
