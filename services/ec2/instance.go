package ec2

import (
	"context"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/store"
)

// What an instance is wanted to be, and was last seen to be.
const (
	stateRunning    = "running"
	stateStopped    = "stopped"
	stateTerminated = "terminated"
)

// instanceRecord is an instance: a container that stands for a machine
// (package guest). Operations write Wanted and Generation, the reconciler writes
// Seen and Trouble; State is made of them when it is shown.
//
//	RunInstances                 container runs             StopInstances
//	───────────► pending ────────────────────► running ──────────────► stopping ─► stopped
//	                ▲                              │                                  │
//	                └──────────── StartInstances ──┼──────────────────────────────────┤
//	                                               ▼  TerminateInstances              ▼
//	                                         shutting-down ─► terminated ─(an hour)─► gone
type instanceRecord struct {
	ec2api.Instance
	Account, Region string
	ReservationID   string
	Service         string // principal of the service of ours that made it, or ""
	Requester       string
	Interface       string // its one network interface
	Public          bool   // has a public address while it runs
	AssociationID   string // of the instance profile
	Associated      *time.Time

	Wanted     string
	Generation int    // of the container: grows with each start
	Seen       string // "" before the first container runs
	Trouble    string // why it is not yet what is wanted
	Ended      *time.Time
}

var stateCodes = map[string]int32{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

// state is what the API shows.
func (r *instanceRecord) state() *ec2api.InstanceState {
	name := r.Wanted
	if r.Seen != r.Wanted {
		name = map[string]string{stateRunning: "pending", stateStopped: "stopping", stateTerminated: "shutting-down"}[r.Wanted]
	}
	return &ec2api.InstanceState{Name: &name, Code: aws.Ptr(stateCodes[name])}
}

func (r *instanceRecord) attribute(name string) ([]string, bool) {
	switch name {
	case "instance-id":
		return listing.Value(r.InstanceId), true
	case "instance-state-name":
		return listing.Value(r.state().Name), true
	case "instance-type":
		return listing.Value(r.InstanceType), true
	case "image-id":
		return listing.Value(r.ImageId), true
	case "vpc-id", "network-interface.vpc-id":
		return listing.Value(r.VpcId), true
	case "subnet-id", "network-interface.subnet-id":
		return listing.Value(r.SubnetId), true
	case "private-ip-address", "network-interface.addresses.private-ip-address":
		return listing.Value(r.PrivateIpAddress), true
	case "ip-address":
		return listing.Value(r.PublicIpAddress), true
	case "availability-zone":
		if r.Placement == nil {
			return nil, true
		}
		return listing.Value(r.Placement.AvailabilityZone), true
	case "iam-instance-profile.arn":
		if r.IamInstanceProfile == nil {
			return nil, true
		}
		return listing.Value(r.IamInstanceProfile.Arn), true
	case "instance.group-id", "group-id", "network-interface.group-id":
		var out []string
		for _, g := range r.SecurityGroups {
			out = append(out, aws.Val(g.GroupId))
		}
		return out, true
	case "reservation-id":
		return []string{r.ReservationID}, true
	case "owner-id":
		return []string{r.Account}, true
	case "client-token":
		return listing.Value(r.ClientToken), true
	}
	return nil, false
}

// runMembers are the members of RunInstances that are served; any other asks
// for something that a container does not have.
var runMembers = map[string]bool{
	"ClientToken": true, "DryRun": true, "IamInstanceProfile": true, "ImageId": true, "InstanceType": true, "MaxCount": true, "MinCount": true,
	"MetadataOptions": true, "NetworkInterfaces": true, "Placement": true, "PrivateIpAddress": true, "SecurityGroupIds": true, "SubnetId": true,
	"TagSpecifications": true, "Monitoring": true, "EbsOptimized": true, "CreditSpecification": true,
}

// maxRun is how many instances one call makes: they are made in one transaction.
const maxRun = 20

// launch is a RunInstances that was checked.
type launch struct {
	in      *ec2api.RunInstancesInput
	subnet  string
	groups  []string
	address string
	public  *bool // nil: as the subnet says
	itags   []ec2api.Tag
	ntags   []ec2api.Tag
	profile *ec2api.IamInstanceProfile
}

// RunInstances makes instances of the one image there is (image.go).
func (s *Service) RunInstances(ctx context.Context, in *ec2api.RunInstancesInput) (*ec2api.RunInstancesOutput, error) {
	l, err := s.checkLaunch(ctx, in)
	if err != nil {
		return nil, err
	}
	p, caller := at(ctx), identity.From(ctx)
	var made []instanceRecord
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		made = nil
		if in.ClientToken != nil {
			earlier, err := s.instances.TxList(tx, p.account, p.region)
			if err != nil {
				return err
			}
			made = slices.DeleteFunc(earlier, func(r instanceRecord) bool { return aws.Val(r.ClientToken) != *in.ClientToken })
			if len(made) > 0 {
				return nil
			}
		}
		reservation := ids.EC2("r")
		for i := range aws.Val(in.MaxCount) {
			r, err := s.newInstance(tx, p, l, caller, i)
			if err != nil {
				return err
			}
			r.ReservationID = reservation
			if err := s.instances.TxPut(tx, r, p.account, p.region, *r.InstanceId); err != nil {
				return err
			}
			made = append(made, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &ec2api.RunInstancesOutput{OwnerId: &p.account, ReservationId: &made[0].ReservationID}
	for _, r := range made {
		if err := s.fill(ctx, &r); err != nil {
			return nil, err
		}
		out.Instances = append(out.Instances, r.Instance)
	}
	return out, nil
}

func (s *Service) checkLaunch(ctx context.Context, in *ec2api.RunInstancesInput) (*launch, error) {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; !runMembers[name] && !v.Field(i).IsZero() {
			return nil, unsupported(name + " of RunInstances")
		}
	}
	l := &launch{in: in, subnet: aws.Val(in.SubnetId), groups: in.SecurityGroupIds, address: aws.Val(in.PrivateIpAddress)}
	switch lo, hi := aws.Val(in.MinCount), aws.Val(in.MaxCount); {
	case in.ImageId == nil:
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	case !isGuestImage(*in.ImageId):
		return nil, noImage(*in.ImageId)
	case lo < 1 || hi < lo:
		return nil, aws.Errorf("InvalidParameterValue", "The value for minCount must be at least 1 and at most maxCount.")
	case hi > maxRun:
		return nil, aws.Errorf("InstanceLimitExceeded", "Your request for %d instances exceeds the limit of %d of one call.", hi, maxRun)
	}
	if in.Placement != nil {
		if name, asked := aws.Asked(in.Placement, "Affinity", "AvailabilityZoneId", "GroupId", "HostId", "HostResourceGroupArn", "PartitionNumber"); asked {
			return nil, unsupported(name + " of Placement")
		}
	}
	if in.InstanceType == nil {
		in.InstanceType = aws.Ptr("t3.micro")
	}
	if _, ok := sizeOf(*in.InstanceType); !ok {
		return nil, aws.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", *in.InstanceType)
	}
	if len(in.NetworkInterfaces) > 0 {
		if err := l.fromInterface(in); err != nil {
			return nil, err
		}
	}
	for _, spec := range in.TagSpecifications {
		var to *[]ec2api.Tag
		switch aws.Val(spec.ResourceType) {
		case "instance":
			to = &l.itags
		case "network-interface":
			to = &l.ntags
		default:
			return nil, unsupported("a tag for a " + aws.Val(spec.ResourceType) + " of RunInstances")
		}
		var err error
		if *to, err = merge(*to, spec.Tags); err != nil {
			return nil, err
		}
	}
	var err error
	if l.subnet == "" {
		zone := ""
		if in.Placement != nil {
			zone = aws.Val(in.Placement.AvailabilityZone)
		}
		if l.subnet, err = s.defaultSubnet(ctx, zone); err != nil {
			return nil, err
		}
	}
	if in.IamInstanceProfile != nil {
		l.profile, err = s.findProfile(ctx, in.IamInstanceProfile)
	}
	return l, err
}

// fromInterface takes the network of a launch from the one interface that is
// specified.
func (l *launch) fromInterface(in *ec2api.RunInstancesInput) error {
	n := in.NetworkInterfaces[0]
	switch {
	case len(in.NetworkInterfaces) > 1 || aws.Val(n.DeviceIndex) != 0:
		return unsupported("a second network interface")
	case n.NetworkInterfaceId != nil:
		return unsupported("an existing network interface for RunInstances")
	case in.SubnetId != nil || len(in.SecurityGroupIds) > 0:
		return aws.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
	}
	if err := checkInterfaceSpecification(&n); err != nil {
		return err
	}
	l.subnet, l.groups, l.address, l.public = aws.Val(n.SubnetId), n.Groups, aws.Val(n.PrivateIpAddress), n.AssociatePublicIpAddress
	return nil
}

// defaultSubnet is the default subnet of a zone, or of any.
func (s *Service) defaultSubnet(ctx context.Context, zone string) (string, error) {
	all, err := list(ctx, s.subnets)
	if err != nil {
		return "", err
	}
	for _, sub := range all {
		if aws.Val(sub.DefaultForAz) && (zone == "" || aws.Val(sub.AvailabilityZone) == zone) {
			return *sub.SubnetId, nil
		}
	}
	return "", aws.Errorf("MissingInput", "No default subnet found. Please specify a subnet.")
}

// newInstance makes an instance's record and its interface, to be written.
func (s *Service) newInstance(tx *store.Tx, p place, l *launch, caller identity.Caller, index int32) (instanceRecord, error) {
	eni, err := s.newInterface(tx, p, l.subnet, l.groups, l.address)
	if err != nil {
		return instanceRecord{}, err
	}
	sub, err := get(tx, s.subnets, p, l.subnet, noSubnet)
	if err != nil {
		return instanceRecord{}, err
	}
	id, now := ids.EC2("i"), s.now()
	public := aws.Val(sub.MapPublicIpOnLaunch)
	if l.public != nil {
		public = *l.public
	}
	if err := s.setPublic(tx, p, &eni, public); err != nil {
		return instanceRecord{}, err
	}
	eni.Status, eni.TagSet, eni.Description = aws.Ptr("in-use"), l.ntags, aws.Ptr("")
	eni.Attachment = &ec2api.NetworkInterfaceAttachment{
		AttachmentId: aws.Ptr(ids.EC2("eni-attach")), AttachTime: now, DeleteOnTermination: aws.Ptr(true), DeviceIndex: aws.Ptr[int32](0),
		InstanceId: &id, InstanceOwnerId: &p.account, Status: aws.Ptr("attached"), NetworkCardIndex: aws.Ptr[int32](0),
	}
	if err := s.interfaces.TxPut(tx, eni, p.account, p.region, *eni.NetworkInterfaceId); err != nil {
		return instanceRecord{}, err
	}
	size, _ := sizeOf(*l.in.InstanceType)
	r := instanceRecord{
		Instance: ec2api.Instance{
			InstanceId: &id, ImageId: l.in.ImageId, InstanceType: l.in.InstanceType, AmiLaunchIndex: &index, ClientToken: l.in.ClientToken,
			LaunchTime: now, Architecture: aws.Ptr(guestArch), Hypervisor: aws.Ptr("xen"), VirtualizationType: aws.Ptr("hvm"), PlatformDetails: aws.Ptr("Linux/UNIX"),
			Placement: &ec2api.Placement{AvailabilityZone: sub.AvailabilityZone, Tenancy: aws.Ptr("default"), GroupName: aws.Ptr("")},
			VpcId:     sub.VpcId, SubnetId: sub.SubnetId, PrivateIpAddress: eni.PrivateIpAddress, PrivateDnsName: eni.PrivateDnsName, SourceDestCheck: aws.Ptr(true),
			Monitoring: &ec2api.Monitoring{State: aws.Ptr("disabled")}, EnaSupport: aws.Ptr(true), EbsOptimized: aws.Ptr(false),
			CpuOptions: &ec2api.CpuOptions{CoreCount: aws.Ptr(int32(max(1, size.cpus/2))), ThreadsPerCore: aws.Ptr(int32(min(2, size.cpus)))}, Tags: l.itags,
			MetadataOptions: metadataOptions(l.in.MetadataOptions), StateTransitionReason: aws.Ptr(""),
		},
		Account: p.account, Region: p.region, Interface: *eni.NetworkInterfaceId, Public: public, Wanted: stateRunning, Generation: 1,
	}
	if caller.Kind == identity.Service {
		r.Service = caller.Service
	}
	if l.profile != nil {
		r.setProfile(l.profile, now)
	}
	return r, nil
}

func metadataOptions(in *ec2api.InstanceMetadataOptionsRequest) *ec2api.InstanceMetadataOptionsResponse {
	out := &ec2api.InstanceMetadataOptionsResponse{
		State: aws.Ptr("applied"), HttpTokens: aws.Ptr("optional"), HttpPutResponseHopLimit: aws.Ptr[int32](1), HttpEndpoint: aws.Ptr("enabled"),
		HttpProtocolIpv6: aws.Ptr("disabled"), InstanceMetadataTags: aws.Ptr("disabled"),
	}
	if in == nil {
		return out
	}
	for _, m := range []struct{ from, to **string }{
		{&in.HttpTokens, &out.HttpTokens}, {&in.HttpEndpoint, &out.HttpEndpoint}, {&in.InstanceMetadataTags, &out.InstanceMetadataTags},
	} {
		if *m.from != nil {
			*m.to = *m.from
		}
	}
	return out
}

// fill puts what is elsewhere into an instance's shape: its state, and the
// interface as it is now.
func (s *Service) fill(ctx context.Context, r *instanceRecord) error {
	r.State = r.state()
	if r.Trouble != "" {
		r.StateReason = &ec2api.StateReason{Code: aws.Ptr("Server.InternalError"), Message: aws.Ptr("Server.InternalError: " + r.Trouble)}
	}
	if *r.State.Name == stateTerminated {
		r.VpcId, r.SubnetId, r.PrivateIpAddress, r.PrivateDnsName = nil, nil, nil, aws.Ptr("")
		return nil
	}
	e, found, err := s.interfaces.Get(ctx, r.Account, r.Region, r.Interface)
	if err != nil || !found {
		return err
	}
	n := ec2api.InstanceNetworkInterface{
		NetworkInterfaceId: e.NetworkInterfaceId, VpcId: e.VpcId, SubnetId: e.SubnetId, OwnerId: e.OwnerId, MacAddress: e.MacAddress, Description: e.Description,
		Groups: e.Groups, InterfaceType: e.InterfaceType, PrivateDnsName: e.PrivateDnsName, PrivateIpAddress: e.PrivateIpAddress, SourceDestCheck: e.SourceDestCheck, Status: e.Status,
		PrivateIpAddresses: []ec2api.InstancePrivateIpAddress{{Primary: aws.Ptr(true), PrivateDnsName: e.PrivateDnsName, PrivateIpAddress: e.PrivateIpAddress}},
	}
	if a := e.Attachment; a != nil {
		n.Attachment = &ec2api.InstanceNetworkInterfaceAttachment{
			AttachmentId: a.AttachmentId, AttachTime: a.AttachTime, DeleteOnTermination: a.DeleteOnTermination, DeviceIndex: a.DeviceIndex, Status: a.Status, NetworkCardIndex: a.NetworkCardIndex,
		}
	}
	if a := e.Association; a != nil {
		n.Association = &ec2api.InstanceNetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicDnsName: a.PublicDnsName, PublicIp: a.PublicIp}
		n.PrivateIpAddresses[0].Association = n.Association
		r.PublicIpAddress, r.PublicDnsName = a.PublicIp, a.PublicDnsName
	}
	r.SecurityGroups, r.SourceDestCheck, r.NetworkInterfaces = e.Groups, e.SourceDestCheck, []ec2api.InstanceNetworkInterface{n}
	return nil
}

var instanceID = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)

func noInstance(id string) error {
	if !instanceID.MatchString(id) {
		return aws.Errorf("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
	}
	return aws.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
}

// described returns the instances that a call asks for, filled.
func (s *Service) described(ctx context.Context, wanted []string, filters []ec2api.Filter) ([]instanceRecord, error) {
	all, err := list(ctx, s.instances)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := s.fill(ctx, &all[i]); err != nil {
			return nil, err
		}
	}
	return listing.Choose(all, wanted, filters, func(r *instanceRecord) string { return aws.Val(r.InstanceId) }, func(r *instanceRecord) []ec2api.Tag { return r.Tags }, (*instanceRecord).attribute, noInstance)
}

// DescribeInstances lists instances by reservation.
func (s *Service) DescribeInstances(ctx context.Context, in *ec2api.DescribeInstancesInput) (*ec2api.DescribeInstancesOutput, error) {
	all, err := s.described(ctx, in.InstanceIds, in.Filters)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b instanceRecord) int { return strings.Compare(a.ReservationID, b.ReservationID) })
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeInstancesOutput{NextToken: next}
	for _, r := range all {
		n := len(out.Reservations)
		if n == 0 || *out.Reservations[n-1].ReservationId != r.ReservationID {
			out.Reservations = append(out.Reservations, ec2api.Reservation{ReservationId: &r.ReservationID, OwnerId: &r.Account})
			n++
		}
		out.Reservations[n-1].Instances = append(out.Reservations[n-1].Instances, r.Instance)
	}
	return out, err
}

// DescribeInstanceStatus lists the states of instances, of running ones only
// unless all are asked for.
func (s *Service) DescribeInstanceStatus(ctx context.Context, in *ec2api.DescribeInstanceStatusInput) (*ec2api.DescribeInstanceStatusOutput, error) {
	all, err := s.described(ctx, in.InstanceIds, in.Filters)
	if err != nil {
		return nil, err
	}
	if !aws.Val(in.IncludeAllInstances) {
		all = slices.DeleteFunc(all, func(r instanceRecord) bool { return *r.State.Name != stateRunning })
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeInstanceStatusOutput{NextToken: next}
	for _, r := range all {
		status := "not-applicable"
		if *r.State.Name == stateRunning {
			status = "ok"
		}
		summary := &ec2api.InstanceStatusSummary{Status: &status}
		out.InstanceStatuses = append(out.InstanceStatuses, ec2api.InstanceStatus{
			InstanceId: r.InstanceId, InstanceState: r.State, AvailabilityZone: r.Placement.AvailabilityZone, InstanceStatus: summary, SystemStatus: summary,
		})
	}
	return out, err
}
