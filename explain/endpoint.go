package explain

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/explain/cause"
)

// endpointInterface begins the descriptions of VPC endpoints' interfaces.
const endpointInterface = "VPC Endpoint Interface "

var calledHost = regexp.MustCompile(`https://([a-z0-9.-]+)\.amazonaws\.com/`)

// called are the hosts of AWS's that a task did not reach, by the reason that it
// stopped for and its region: without ".amazonaws.com".
func called(reason, region string) []string {
	var out []string
	for _, m := range calledHost.FindAllStringSubmatch(reason, -1) {
		out = append(out, m[1])
	}
	switch {
	case strings.Contains(reason, "unable to retrieve secret from asm"):
		out = append(out, "secretsmanager."+region)
	case strings.Contains(reason, "unable to retrieve secrets from ssm"):
		out = append(out, "ssm."+region)
	case strings.Contains(reason, "failed to download env files"):
		out = append(out, "s3."+region)
	}
	return out
}

// endpointFor finds, for packets without a route to AWS's services, the VPC
// endpoint that they miss: where a VPC has endpoints, that is how it reaches them.
func (q *inquiry) endpointFor(d *cause.Drop, hosts []string) error {
	if len(hosts) == 0 {
		return nil
	}
	services, err := q.EC2.DescribeVpcEndpointServices(q.ctx, &ec2.DescribeVpcEndpointServicesInput{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(services.ServiceDetails, func(s ec2.ServiceDetail) bool { return leadsTo(s, hosts[0]) })
	if i < 0 {
		return nil
	}
	service := services.ServiceDetails[i]
	all, err := q.EC2.DescribeVpcEndpoints(q.ctx, &ec2.DescribeVpcEndpointsInput{Filters: []ec2.Filter{{Name: aws.Ptr("vpc-id"), Values: []string{d.VPC}}}})
	if err != nil || len(all.VpcEndpoints) == 0 {
		return err
	}
	missing := &cause.Endpoint{Service: aws.Val(service.ServiceName), Gateway: aws.Val(service.ServiceType[0].ServiceType) == ec2.VpcEndpointTypeGateway}
	for _, e := range all.VpcEndpoints {
		if aws.Val(e.ServiceName) == missing.Service {
			missing.ID = aws.Val(e.VpcEndpointId)
		}
		if missing.Group == "" && len(e.Groups) > 0 {
			missing.Group = aws.Val(e.Groups[0].GroupId)
		}
	}
	if missing.Subnet, err = q.subnetOf(d); err == nil {
		d.Endpoint = missing
	}
	return err
}

// leadsTo tells whether an endpoint for a service is on the way to a host.
func leadsTo(s ec2.ServiceDetail, host string) bool {
	if name := strings.TrimSuffix(aws.Val(s.PrivateDnsName), ".amazonaws.com"); name != "" {
		parent, any := strings.CutPrefix(name, "*")
		return host == name || any && strings.HasSuffix(host, parent)
	}
	base := strings.TrimSuffix(strings.Join(s.BaseEndpointDnsNames, ""), ".amazonaws.com")
	return host == base || strings.HasSuffix(host, "."+base)
}

// subnetOf is the subnet that packets came from.
func (q *inquiry) subnetOf(d *cause.Drop) (string, error) {
	out, err := q.EC2.DescribeSubnets(q.ctx, &ec2.DescribeSubnetsInput{Filters: []ec2.Filter{{Name: aws.Ptr("vpc-id"), Values: []string{d.VPC}}}})
	if err != nil {
		return "", err
	}
	for _, s := range out.Subnets {
		if p, err := netip.ParsePrefix(aws.Val(s.CidrBlock)); err == nil && p.Contains(d.Source) {
			return aws.Val(s.SubnetId), nil
		}
	}
	return "", nil
}
