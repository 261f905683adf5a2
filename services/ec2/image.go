package ec2

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// There is one image: this machine's own system, of which an instance sees the
// programs (package guest).
const (
	guestImage = "ami-0c9d0e0000000001a"
	guestOwner = "137112412989" // Amazon's, as Amazon Linux has it
)

// guestArch is the machine's architecture in EC2's words.
var guestArch = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]

// parameterImages begin the names under which AWS publishes current images in
// the parameter store; RunInstances takes them after "resolve:ssm:".
var parameterImages = []string{"/aws/service/cloud9/amis/", "/aws/service/minato/"}

func isGuestImage(id string) bool {
	if name, ok := strings.CutPrefix(id, "resolve:ssm:"); ok {
		return slices.ContainsFunc(parameterImages, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	return id == guestImage
}

func noImage(id string) error {
	if !strings.HasPrefix(id, "ami-") {
		return aws.Errorf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	return aws.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

// DescribeImages lists the one image there is.
func (s *Service) DescribeImages(_ context.Context, in *ec2api.DescribeImagesInput) (*ec2api.DescribeImagesOutput, error) {
	all := []ec2api.Image{{
		ImageId: aws.Ptr(guestImage), Name: aws.Ptr("minato-workspace-" + guestArch), Description: aws.Ptr("The programs of the machine that minato runs on, in a container"),
		Architecture: aws.Ptr(guestArch), OwnerId: aws.Ptr(guestOwner), ImageOwnerAlias: aws.Ptr("amazon"), Public: aws.Ptr(true), State: aws.Ptr("available"),
		ImageType: aws.Ptr("machine"), PlatformDetails: aws.Ptr("Linux/UNIX"), VirtualizationType: aws.Ptr("hvm"), Hypervisor: aws.Ptr("xen"),
		RootDeviceType: aws.Ptr("ebs"), RootDeviceName: aws.Ptr("/dev/xvda"), CreationDate: aws.Ptr("2026-11-23T00:00:00.000Z"),
	}}
	if len(in.Owners) > 0 && !slices.Contains(in.Owners, "amazon") && !slices.Contains(in.Owners, guestOwner) {
		all = nil
	}
	out, err := listing.Choose(all, in.ImageIds, in.Filters, func(i *ec2api.Image) string { return *i.ImageId }, func(*ec2api.Image) []ec2api.Tag { return nil },
		func(i *ec2api.Image, name string) ([]string, bool) {
			switch name {
			case "image-id":
				return listing.Value(i.ImageId), true
			case "name":
				return listing.Value(i.Name), true
			case "architecture":
				return listing.Value(i.Architecture), true
			case "state":
				return listing.Value(i.State), true
			case "owner-id":
				return listing.Value(i.OwnerId), true
			case "owner-alias":
				return listing.Value(i.ImageOwnerAlias), true
			case "is-public":
				return listing.Bool(i.Public), true
			case "virtualization-type":
				return listing.Value(i.VirtualizationType), true
			case "root-device-type":
				return listing.Value(i.RootDeviceType), true
			case "image-type":
				return listing.Value(i.ImageType), true
			}
			return nil, false
		}, noImage)
	return &ec2api.DescribeImagesOutput{Images: out}, err
}

// size is what an instance type has.
type size struct {
	cpus   int
	memory int64 // bytes
}

// families are the GiB a CPU has in the families that are known here; those of
// the t families are by size.
var families = map[string]int64{
	"m4": 4, "m5": 4, "m5a": 4, "m6i": 4, "m6a": 4, "m7i": 4, "c4": 2, "c5": 2, "c5a": 2, "c6i": 2, "c6a": 2, "c7i": 2, "r5": 8, "r6i": 8, "r7i": 8,
}

var burstable = map[string]size{
	"nano": {2, 512 << 20}, "micro": {2, 1 << 30}, "small": {2, 2 << 30}, "medium": {2, 4 << 30}, "large": {2, 8 << 30}, "xlarge": {4, 16 << 30}, "2xlarge": {8, 32 << 30},
}

// sizeOf is the size of an instance type; false for one that is not known.
func sizeOf(instanceType string) (size, bool) {
	family, name, _ := strings.Cut(instanceType, ".")
	switch family {
	case "t2", "t3", "t3a":
		s, ok := burstable[name]
		if family == "t2" && (name == "nano" || name == "micro" || name == "small") {
			s.cpus = 1
		}
		return s, ok
	}
	gib, ok := families[family]
	if !ok {
		return size{}, false
	}
	cpus := 2
	switch n, isX := strings.CutSuffix(name, "xlarge"); {
	case name == "large":
	case isX && n == "":
		cpus = 4
	case isX:
		k, err := strconv.Atoi(n)
		if err != nil || !slices.Contains([]int{2, 4, 8, 12, 16, 24}, k) {
			return size{}, false
		}
		cpus = 4 * k
	default:
		return size{}, false
	}
	return size{cpus, int64(cpus) * gib << 30}, true
}
