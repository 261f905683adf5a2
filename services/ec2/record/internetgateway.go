package record

import (
	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// InternetGateway is an internet gateway.
type InternetGateway struct{ ec2api.InternetGateway }

// VPC is the id of the VPC it is attached to, "" for none.
func (r *InternetGateway) VPC() string {
	if len(r.Attachments) == 0 {
		return ""
	}
	return aws.Val(r.Attachments[0].VpcId)
}

// Attribute gives the values of a filter of DescribeInternetGateways.
func (r *InternetGateway) Attribute(name string) ([]string, bool) {
	switch name {
	case "internet-gateway-id":
		return listing.Value(r.InternetGatewayId), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "attachment.vpc-id":
		if len(r.Attachments) == 0 {
			return nil, true
		}
		return []string{r.VPC()}, true
	case "attachment.state":
		if len(r.Attachments) == 0 {
			return nil, true
		}
		return listing.Value(r.Attachments[0].State), true
	}
	return nil, false
}
