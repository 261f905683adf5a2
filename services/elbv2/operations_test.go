package elbv2

import (
	"testing"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
)

func rewriteURL(from, to string) []elbapi.RuleTransform {
	return []elbapi.RuleTransform{{Type: aws.Ptr("url-rewrite"), UrlRewriteConfig: &elbapi.UrlRewriteConfig{Rewrites: []elbapi.RewriteConfig{{Regex: &from, Replace: &to}}}}}
}

func i32(n int32) *int32 { return &n }

// TestErrors: what AWS refuses is refused, with its code and words.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	s, ctx := w.s, w.ctx
	lb, group, spare := w.balancer("lb"), w.group("tg"), w.group("spare")
	other := must(s.CreateTargetGroup(ctx, &elbapi.CreateTargetGroupInput{Name: aws.Ptr("other"), Protocol: aws.Ptr("HTTP"), Port: i32(80), TargetType: aws.Ptr("ip"), VpcId: aws.Ptr("vpc-2")}))(t).TargetGroups[0].TargetGroupArn
	second := w.balancer("second")
	l := w.listener(lb.LoadBalancerArn, group, 80)
	l2 := w.listener(lb.LoadBalancerArn, group, 81)
	path := []elbapi.RuleCondition{{Field: aws.Ptr("path-pattern"), Values: []string{"/a/*"}}}
	rule := must(s.CreateRule(ctx, &elbapi.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: i32(10), Conditions: path, Actions: forward(group)}))(t).Rules[0]
	must(s.ModifyLoadBalancerAttributes(ctx, &elbapi.ModifyLoadBalancerAttributesInput{LoadBalancerArn: second.LoadBalancerArn, Attributes: []elbapi.LoadBalancerAttribute{{Key: aws.Ptr("deletion_protection.enabled"), Value: aws.Ptr("true")}}}))(t)
	rules := must(s.DescribeRules(ctx, &elbapi.DescribeRulesInput{ListenerArn: l.ListenerArn}))(t).Rules
	gone := aws.Ptr("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/gone/0123456789abcdef")
	goneGroup := aws.Ptr("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/gone/0123456789abcdef")

	create := func(change func(*elbapi.CreateLoadBalancerInput)) error {
		in := &elbapi.CreateLoadBalancerInput{Name: aws.Ptr("new"), Subnets: []string{"subnet-a", "subnet-c"}}
		change(in)
		_, err := s.CreateLoadBalancer(ctx, in)
		return err
	}
	createGroup := func(change func(*elbapi.CreateTargetGroupInput)) error {
		in := &elbapi.CreateTargetGroupInput{Name: aws.Ptr("new"), Protocol: aws.Ptr("HTTP"), Port: i32(80), TargetType: aws.Ptr("ip"), VpcId: aws.Ptr("vpc-1")}
		change(in)
		_, err := s.CreateTargetGroup(ctx, in)
		return err
	}
	listen := func(change func(*elbapi.CreateListenerInput)) error {
		in := &elbapi.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("HTTP"), Port: i32(99), DefaultActions: forward(group)}
		change(in)
		_, err := s.CreateListener(ctx, in)
		return err
	}
	addRule := func(change func(*elbapi.CreateRuleInput)) error {
		in := &elbapi.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: i32(11), Conditions: path, Actions: forward(group)}
		change(in)
		_, err := s.CreateRule(ctx, in)
		return err
	}
	register := func(id string, zone *string) error {
		_, err := s.RegisterTargets(ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: spare, Targets: []elbapi.TargetDescription{{Id: &id, AvailabilityZone: zone}}})
		return err
	}
	second2 := func(_ any, err error) error { return err }

	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"name":            {create(func(in *elbapi.CreateLoadBalancerInput) { in.Name = aws.Ptr("a_b") }), "ValidationError: The load balancer name 'a_b' can only contain characters that are alphanumeric characters and hyphens(-)"},
		"long name":       {create(func(in *elbapi.CreateLoadBalancerInput) { in.Name = aws.Ptr("abcdefghijabcdefghijabcdefghijabc") }), "ValidationError: The load balancer name 'abcdefghijabcdefghijabcdefghijabc' cannot be longer than '32' characters"},
		"internal name":   {create(func(in *elbapi.CreateLoadBalancerInput) { in.Name = aws.Ptr("internal-a") }), "ValidationError: The load balancer name 'internal-a' cannot begin with 'internal-'"},
		"one subnet":      {create(func(in *elbapi.CreateLoadBalancerInput) { in.Subnets = in.Subnets[:1] }), "ValidationError: At least two subnets in two different Availability Zones must be specified"},
		"same zone":       {create(func(in *elbapi.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-a", "subnet-a2"} }), "InvalidConfigurationRequest: A load balancer cannot be attached to multiple subnets in the same Availability Zone"},
		"no subnet":       {create(func(in *elbapi.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-a", "subnet-x"} }), "SubnetNotFound: The subnet ID 'subnet-x' does not exist"},
		"two VPCs":        {create(func(in *elbapi.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-a", "subnet-other"} }), "InvalidConfigurationRequest: All subnets must belong to the same VPC: 'vpc-1'"},
		"no group":        {create(func(in *elbapi.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-none"} }), "InvalidConfigurationRequest: One or more security groups are invalid"},
		"group elsewhere": {create(func(in *elbapi.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-other"} }), "InvalidConfigurationRequest: One or more security groups are invalid"},
		"gateway":         {create(func(in *elbapi.CreateLoadBalancerInput) { in.Type = aws.Ptr("gateway") }), "InvalidConfigurationRequest: Load balancers of type 'gateway': not served by minato"},
		"duplicate":       {create(func(in *elbapi.CreateLoadBalancerInput) { in.Name, in.Scheme = aws.Ptr("lb"), aws.Ptr("internal") }), "DuplicateLoadBalancerName: A load balancer with the same name 'lb' exists, but with different settings"},
		"tags twice": {create(func(in *elbapi.CreateLoadBalancerInput) {
			in.Tags = []elbapi.Tag{{Key: aws.Ptr("a")}, {Key: aws.Ptr("a")}}
		}), "DuplicateTagKeys: Tag key 'a' is specified twice"},
		"unknown":           {second2(s.DescribeLoadBalancers(ctx, &elbapi.DescribeLoadBalancersInput{LoadBalancerArns: []string{*gone}})), "LoadBalancerNotFound: One or more load balancers not found"},
		"unknown name":      {second2(s.DescribeLoadBalancers(ctx, &elbapi.DescribeLoadBalancersInput{Names: []string{"gone"}})), "LoadBalancerNotFound: Load balancers '[gone]' not found"},
		"deleted twice":     {second2(s.DeleteLoadBalancer(ctx, &elbapi.DeleteLoadBalancerInput{LoadBalancerArn: gone})), ""},
		"protected":         {second2(s.DeleteLoadBalancer(ctx, &elbapi.DeleteLoadBalancerInput{LoadBalancerArn: second.LoadBalancerArn})), "OperationNotPermitted: Load balancer '" + *second.LoadBalancerArn + "' cannot be deleted because deletion protection is enabled"},
		"attribute":         {second2(s.ModifyLoadBalancerAttributes(ctx, &elbapi.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn, Attributes: []elbapi.LoadBalancerAttribute{{Key: aws.Ptr("x"), Value: aws.Ptr("1")}}})), "ValidationError: Load balancer attribute key 'x' is not recognized"},
		"attribute's value": {second2(s.ModifyLoadBalancerAttributes(ctx, &elbapi.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn, Attributes: []elbapi.LoadBalancerAttribute{{Key: aws.Ptr("idle_timeout.timeout_seconds"), Value: aws.Ptr("5000")}}})), "ValidationError: Load balancer attribute 'idle_timeout.timeout_seconds' must not have the value '5000'"},
		"sticky":            {second2(s.ModifyTargetGroupAttributes(ctx, &elbapi.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbapi.TargetGroupAttribute{{Key: aws.Ptr("stickiness.type"), Value: aws.Ptr("app_cookie")}, {Key: aws.Ptr("stickiness.enabled"), Value: aws.Ptr("true")}}})), "ValidationError: A cookie name must be specified for stickiness of type 'app_cookie'"},

		"group without port": {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.Port = nil }), "ValidationError: A port must be specified"},
		"group without VPC":  {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.VpcId = nil }), "ValidationError: A VPC ID must be specified"},
		"unknown VPC":        {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.VpcId = aws.Ptr("vpc-x") }), "ValidationError: The VPC ID 'vpc-x' is not found"},
		"lambda":             {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.TargetType = aws.Ptr("lambda") }), "InvalidConfigurationRequest: Target groups of target type 'lambda': not served by minato"},
		"timeout":            {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.HealthCheckTimeoutSeconds = i32(30) }), "ValidationError: Health check timeout '30' must be smaller than the interval '30'"},
		"matcher":            {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.Matcher = &elbapi.Matcher{HttpCode: aws.Ptr("200-500")} }), "ValidationError: Health check matcher HTTP code '200-500' must be within '200-499' inclusive"},
		"same group again":   {createGroup(func(in *elbapi.CreateTargetGroupInput) { in.Name = aws.Ptr("tg") }), "DuplicateTargetGroupName: A target group with the same name 'tg' exists, but with different settings"},
		"group in use":       {second2(s.DeleteTargetGroup(ctx, &elbapi.DeleteTargetGroupInput{TargetGroupArn: group})), "ResourceInUse: Target group '" + *group + "' is currently in use by a listener or a rule"},
		"group deleted":      {second2(s.DeleteTargetGroup(ctx, &elbapi.DeleteTargetGroupInput{TargetGroupArn: goneGroup})), ""},
		"unknown group":      {second2(s.DescribeTargetHealth(ctx, &elbapi.DescribeTargetHealthInput{TargetGroupArn: goneGroup})), "TargetGroupNotFound: One or more target groups not found"},

		"port taken":            {listen(func(in *elbapi.CreateListenerInput) { in.Port = i32(80) }), "DuplicateListener: A listener already exists on this port for this load balancer '" + *lb.LoadBalancerArn + "'"},
		"TCP":                   {listen(func(in *elbapi.CreateListenerInput) { in.Protocol = aws.Ptr("TCP") }), "ValidationError: Listener protocol 'TCP' must be one of 'HTTP, HTTPS'"},
		"HTTPS":                 {listen(func(in *elbapi.CreateListenerInput) { in.Protocol = aws.Ptr("HTTPS") }), "ValidationError: A certificate must be specified for HTTPS listeners"},
		"listener, no group":    {listen(func(in *elbapi.CreateListenerInput) { in.DefaultActions = forward(goneGroup) }), "TargetGroupNotFound: One or more target groups not found"},
		"listener, no balancer": {listen(func(in *elbapi.CreateListenerInput) { in.LoadBalancerArn = gone }), "LoadBalancerNotFound: One or more load balancers not found"},
		"group of another":      {listen(func(in *elbapi.CreateListenerInput) { in.LoadBalancerArn = second.LoadBalancerArn }), "TargetGroupAssociationLimit: The following target groups cannot be associated with more than one load balancer: " + *group},
		"group of another VPC":  {listen(func(in *elbapi.CreateListenerInput) { in.DefaultActions = forward(other) }), "InvalidConfigurationRequest: The following target groups are not in the same VPC as load balancer '" + *lb.LoadBalancerArn + "': " + *other},
		"moved to a taken port": {second2(s.ModifyListener(ctx, &elbapi.ModifyListenerInput{ListenerArn: l2.ListenerArn, Port: i32(80)})), "DuplicateListener: A listener already exists on this port for this load balancer '" + *lb.LoadBalancerArn + "'"},
		"loop": {listen(func(in *elbapi.CreateListenerInput) {
			in.DefaultActions = []elbapi.Action{{Type: aws.Ptr("redirect"), RedirectConfig: &elbapi.RedirectActionConfig{StatusCode: aws.Ptr("HTTP_301"), Port: aws.Ptr("99")}}}
		}), "InvalidLoadBalancerAction: The redirect configuration is not valid because it creates a loop."},
		"unknown listener": {second2(s.DeleteListener(ctx, &elbapi.DeleteListenerInput{ListenerArn: aws.Ptr(*l.ListenerArn + "0")})), "ListenerNotFound: One or more listeners not found"},
		"priority":         {addRule(func(in *elbapi.CreateRuleInput) { in.Priority = i32(10) }), "PriorityInUse: Priority '10' is currently in use"},
		"no condition":     {addRule(func(in *elbapi.CreateRuleInput) { in.Conditions = nil }), "ValidationError: A condition must be specified"},
		"six values": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("path-pattern"), Values: []string{"1", "2", "3", "4", "5", "6"}}}
		}), "ValidationError: A rule can only have '5' condition values"},
		"two paths": {addRule(func(in *elbapi.CreateRuleInput) { in.Conditions = append(path[:1:1], path...) }), "ValidationError: A rule can only have one 'path-pattern' condition"},
		"field":     {addRule(func(in *elbapi.CreateRuleInput) { in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("moon")}} }), "ValidationError: Condition field 'moon' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'"},
		"source": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("source-ip"), SourceIpConfig: &elbapi.SourceIpConditionConfig{Values: []string{"10.0.0.1"}}}}
		}), "ValidationError: The source IP '10.0.0.1' is not a valid CIDR block"},
		"regular expression": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("host-header"), HostHeaderConfig: &elbapi.HostHeaderConditionConfig{RegexValues: []string{"(?=a)"}}}}
		}), "ValidationError: The regular expression '(?=a)' is not valid"},
		"six regular expressions": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("path-pattern"), Values: []string{"/a"}, RegexValues: []string{"1", "2", "3", "4", "5"}}}
		}), "ValidationError: A rule can only have '5' condition values"},
		"a host's in a path's": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("path-pattern"), Values: []string{"/a"}, HostHeaderConfig: &elbapi.HostHeaderConditionConfig{Values: []string{"a.b"}}}}
		}), "ValidationError: 'HostHeaderConfig' cannot be specified for condition field 'path-pattern'"},
		"values of a header": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Conditions = []elbapi.RuleCondition{{Field: aws.Ptr("source-ip"), Values: []string{"10.0.0.0/8"}}}
		}), "ValidationError: 'Values' and 'RegexValues' cannot be specified for condition field 'source-ip'"},
		"two of a transform": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Transforms = append(rewriteURL("/a", "/b"), rewriteURL("/c", "/d")...)
		}), "ValidationError: A rule can only have one 'url-rewrite' transform"},
		"transform without": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Transforms = []elbapi.RuleTransform{{Type: aws.Ptr("url-rewrite")}}
		}), "ValidationError: A 'url-rewrite' transform must have exactly one rewrite"},
		"transform's group": {addRule(func(in *elbapi.CreateRuleInput) { in.Transforms = rewriteURL("^/(a)", "/$2") }), "ValidationError: The transforms are not valid: the pattern has no group $2"},
		"transform of a fixed answer": {addRule(func(in *elbapi.CreateRuleInput) {
			in.Transforms, in.Actions = rewriteURL("/a", "/b"), []elbapi.Action{{Type: aws.Ptr("fixed-response"), FixedResponseConfig: &elbapi.FixedResponseActionConfig{StatusCode: aws.Ptr("200")}}}
		}), "InvalidConfigurationRequest: Transforms of a rule whose action is not 'forward': not served by minato"},
		"transforms set and reset": {second2(s.ModifyRule(ctx, &elbapi.ModifyRuleInput{RuleArn: rule.RuleArn, Transforms: rewriteURL("/a", "/b"), ResetTransforms: aws.Ptr(true)})), "ValidationError: You cannot specify both 'Transforms' and 'ResetTransforms'"},
		"default rule":             {second2(s.DeleteRule(ctx, &elbapi.DeleteRuleInput{RuleArn: rules[len(rules)-1].RuleArn})), "OperationNotPermitted: Default rule '" + *rules[len(rules)-1].RuleArn + "' cannot be deleted"},
		"unknown rule":             {second2(s.DeleteRule(ctx, &elbapi.DeleteRuleInput{RuleArn: aws.Ptr(*rule.RuleArn + "0")})), "RuleNotFound: One or more rules not found"},
		"address":                  {register("example.com", nil), "ValidationError: The IP address 'example.com' is not a valid IPv4 address"},
		"public address":           {register("8.8.8.8", nil), "ValidationError: The IP address '8.8.8.8' is not within a subnet of the VPC 'vpc-1' and is not a private address"},
		"address elsewhere":        {register("10.9.9.9", nil), "ValidationError: You must specify an Availability Zone of 'all' for the IP address '10.9.9.9', which is outside of the VPC 'vpc-1'"},
		"address elsewhere, all":   {register("10.9.9.9", aws.Ptr("all")), ""},
		"address's zone":           {register("127.77.0.9", aws.Ptr("us-east-1c")), "ValidationError: The IP address '127.77.0.9' is in the Availability Zone 'us-east-1a', not in 'us-east-1c'"},
	} {
		got := ""
		if c.err != nil {
			e := aws.AsError(c.err)
			got = e.Code + ": " + e.Message
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}

	w.ec2.mu.Lock()
	w.ec2.gateway = false
	w.ec2.mu.Unlock()
	if err := create(func(*elbapi.CreateLoadBalancerInput) {}); err == nil || err.Error() != "InvalidSubnet: VPC vpc-1 has no internet gateway" {
		t.Error(err)
	}
	if err := create(func(in *elbapi.CreateLoadBalancerInput) { in.Name, in.Scheme = aws.Ptr("inside"), aws.Ptr("internal") }); err != nil {
		t.Errorf("an internal one needs no gateway: %v", err)
	}
}

// TestShown: what was made is shown as AWS shows it.
func TestShown(t *testing.T) {
	w := newWorld(t)
	s, ctx := w.s, w.ctx
	lb, group := w.balancer("lb"), w.group("tg")
	if again := w.balancer("lb"); *again.LoadBalancerArn != *lb.LoadBalancerArn {
		t.Error("the same call again made another load balancer")
	}
	if again := w.group("tg"); *again != *group {
		t.Error("the same call again made another target group")
	}
	l := w.listener(lb.LoadBalancerArn, group, 80)
	if f := l.DefaultActions[0].ForwardConfig; f == nil || len(f.TargetGroups) != 1 || *f.TargetGroups[0].Weight != 1 || *f.TargetGroups[0].TargetGroupArn != *group {
		t.Errorf("the long form of the forward is %+v", f)
	}
	g := must(s.DescribeTargetGroups(ctx, &elbapi.DescribeTargetGroupsInput{LoadBalancerArn: lb.LoadBalancerArn}))(t).TargetGroups
	if len(g) != 1 || len(g[0].LoadBalancerArns) != 1 || g[0].LoadBalancerArns[0] != *lb.LoadBalancerArn {
		t.Errorf("groups of the load balancer: %+v", g)
	}
	var arns []elbapi.RulePriorityPair
	for i, p := range []string{"/a", "/b"} {
		r := must(s.CreateRule(ctx, &elbapi.CreateRuleInput{
			ListenerArn: l.ListenerArn, Priority: i32(int32(i + 1)), Actions: forward(group), Tags: []elbapi.Tag{{Key: aws.Ptr("p"), Value: &p}},
			Conditions: []elbapi.RuleCondition{{Field: aws.Ptr("path-pattern"), PathPatternConfig: &elbapi.PathPatternConditionConfig{Values: []string{p}}}},
		}))(t).Rules[0]
		if len(r.Conditions[0].Values) != 1 {
			t.Errorf("the short form of the condition is missing: %+v", r.Conditions[0])
		}
		arns = append(arns, elbapi.RulePriorityPair{RuleArn: r.RuleArn, Priority: i32(int32(2 - i))}) // change places
	}
	must(s.SetRulePriorities(ctx, &elbapi.SetRulePrioritiesInput{RulePriorities: arns}))(t)
	rules := must(s.DescribeRules(ctx, &elbapi.DescribeRulesInput{ListenerArn: l.ListenerArn}))(t).Rules
	if len(rules) != 3 || rules[0].Conditions[0].Values[0] != "/b" || *rules[0].Priority != "1" || *rules[2].Priority != "default" || !*rules[2].IsDefault {
		t.Errorf("rules %+v", rules)
	}
	must(s.AddTags(ctx, &elbapi.AddTagsInput{ResourceArns: []string{*lb.LoadBalancerArn, *group, *l.ListenerArn, *rules[0].RuleArn}, Tags: []elbapi.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("v")}}}))(t)
	must(s.RemoveTags(ctx, &elbapi.RemoveTagsInput{ResourceArns: []string{*rules[0].RuleArn}, TagKeys: []string{"p"}}))(t)
	for _, d := range must(s.DescribeTags(ctx, &elbapi.DescribeTagsInput{ResourceArns: []string{*lb.LoadBalancerArn, *group, *l.ListenerArn, *rules[0].RuleArn}}))(t).TagDescriptions {
		if len(d.Tags) != 1 || *d.Tags[0].Value != "v" {
			t.Errorf("tags of %s: %+v", *d.ResourceArn, d.Tags)
		}
	}
	// The group is free again when the listener goes.
	must(s.DeleteListener(ctx, &elbapi.DeleteListenerInput{ListenerArn: l.ListenerArn}))(t)
	must(s.DeleteTargetGroup(ctx, &elbapi.DeleteTargetGroupInput{TargetGroupArn: group}))(t)
	pages := 0
	w.balancer("lb2")
	w.balancer("lb3")
	for marker := (*string)(nil); ; pages++ {
		out := must(s.DescribeLoadBalancers(ctx, &elbapi.DescribeLoadBalancersInput{Marker: marker, PageSize: i32(1)}))(t)
		if len(out.LoadBalancers) != 1 {
			t.Fatalf("a page of %d", len(out.LoadBalancers))
		}
		if marker = out.NextMarker; marker == nil {
			break
		}
	}
	if pages != 2 {
		t.Errorf("%d further pages", pages)
	}
}
