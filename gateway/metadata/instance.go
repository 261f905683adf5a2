package metadata

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Instance is what the metadata service says about an instance.
type Instance struct {
	ID, ImageID, Type  string
	Account, Region    string
	Zone, ZoneID       string
	ReservationID      string
	PrivateIP          string
	PublicIP           string // "" for none
	PrivateDNS         string
	PublicDNS          string
	Architecture       string // x86_64 or arm64
	LaunchTime         time.Time
	UserData           []byte            // nil for none
	Tags               map[string]string // shown below tags/instance; nil when not allowed
	RequireToken       bool              // IMDSv2 only
	Profile            *Profile          // nil for none
	Interfaces         []Interface       // the first is the primary one
	SecurityGroupNames []string
}

// Profile is an instance's instance profile.
type Profile struct {
	ARN, ID  string
	RoleName string // "" for a profile without a role
}

// Interface is one of an instance's network interfaces.
type Interface struct {
	ID, MAC               string
	DeviceNumber          int
	PrivateIP, PublicIP   string
	PrivateDNS, PublicDNS string
	SubnetID, SubnetCIDR  string
	VPCID                 string
	VPCCIDRs              []string
	GroupIDs, GroupNames  []string
}

// InstanceHandler answers at 169.254.169.254 of a VPC.
func (s *Server) InstanceHandler(vpc string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "EC2ws")
		eni, ok := s.caller(w, r, vpc)
		if !ok {
			return
		}
		var in *Instance
		if s.Instances != nil {
			var err error
			if in, err = s.Instances.Instance(r.Context(), eni); err != nil {
				s.fault(w, r, err)
				return
			}
		}
		if in == nil {
			plainError(w, http.StatusNotFound)
			return
		}
		s.instance(w, r, in)
	})
}

const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
)

// versions are the API versions that are known besides "latest".
var versions = []string{
	"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01",
	"2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24",
	"2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24", "2024-04-11", "latest",
}

var versionPattern = regexp.MustCompile(`^(latest|1\.0|\d{4}-\d{2}-\d{2})$`)

func (s *Server) instance(w http.ResponseWriter, r *http.Request, in *Instance) {
	path := strings.Trim(r.URL.Path, "/")
	if r.Method == http.MethodPut && path == "latest/api/token" {
		s.putToken(w, r, in)
		return
	}
	if r.Method == http.MethodPost && path == "minato/build" && s.Build != nil {
		// Never without a token: something that follows redirects or is made to
		// fetch a URL cannot start a build.
		if !s.tokens.valid(r.Header.Get(tokenHeader), in.ID, s.Clock.Now()) {
			plainError(w, http.StatusUnauthorized)
			return
		}
		s.Build(w, r, in.ID)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		plainError(w, http.StatusMethodNotAllowed)
		return
	}
	if token := r.Header.Get(tokenHeader); token == "" && in.RequireToken || token != "" && !s.tokens.valid(token, in.ID, s.Clock.Now()) {
		plainError(w, http.StatusUnauthorized)
		return
	}
	version, rest, _ := strings.Cut(path, "/")
	switch {
	case path == "":
		plain(w, strings.Join(versions, "\n"))
		return
	case !versionPattern.MatchString(version):
		plainError(w, http.StatusNotFound)
		return
	}
	if name, ok := strings.CutPrefix(rest, "meta-data/iam/security-credentials/"); ok && in.Profile != nil && name == in.Profile.RoleName && name != "" {
		s.roleCredentials(w, r, in)
		return
	}
	if rest == "user-data" {
		if in.UserData == nil {
			plainError(w, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(in.UserData)
		return
	}
	text, ok := answer(tree(in), rest)
	if !ok {
		plainError(w, http.StatusNotFound)
		return
	}
	plain(w, text)
}

// putToken gives a token of IMDSv2. Requests that a proxy passed on are refused,
// as on AWS: an open proxy must not fetch one.
func (s *Server) putToken(w http.ResponseWriter, r *http.Request, in *Instance) {
	if r.Header.Get("X-Forwarded-For") != "" {
		plainError(w, http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > 21600 {
		plainError(w, http.StatusBadRequest)
		return
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	plain(w, s.tokens.issue(in.ID, s.Clock.Now().Add(time.Duration(ttl)*time.Second)))
}

// roleCredentials answers with keys of the role in the instance's profile.
func (s *Server) roleCredentials(w http.ResponseWriter, r *http.Request, in *Instance) {
	c, err := s.Instances.InstanceCredentials(r.Context(), in.ID)
	if err != nil {
		// What AWS says when EC2 may not assume the role.
		s.Log.Warn("an instance's role cannot be assumed", "instance", in.ID, "role", in.Profile.RoleName, "error", err)
		plain(w, mustJSON(map[string]string{
			"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role " + in.Profile.RoleName + ".  Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#troubleshoot_iam-ec2_errors-info-doc.",
			"LastUpdated": s.Clock.Now().UTC().Format(time.RFC3339),
		}))
		return
	}
	if c == nil {
		plainError(w, http.StatusNotFound)
		return
	}
	plain(w, mustJSON(struct {
		Code            string
		LastUpdated     string
		Type            string
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      string
	}{"Success", c.LastUpdated.UTC().Format(time.RFC3339), "AWS-HMAC", c.AccessKeyID, c.SecretAccessKey, c.Token, c.Expiration.UTC().Format(time.RFC3339)}))
}

// mustJSON writes what cannot fail, indented as AWS does.
func mustJSON(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

// tree is everything that can be asked, by path below the version.
func tree(in *Instance) map[string]string {
	t := map[string]string{}
	put := func(path, value string) {
		if value != "" {
			t[path] = value
		}
	}
	const m = "meta-data/"
	put(m+"ami-id", in.ImageID)
	put(m+"ami-launch-index", "0")
	put(m+"ami-manifest-path", "(unknown)")
	put(m+"hostname", in.PrivateDNS)
	put(m+"instance-action", "none")
	put(m+"instance-id", in.ID)
	put(m+"instance-life-cycle", "on-demand")
	put(m+"instance-type", in.Type)
	put(m+"local-hostname", in.PrivateDNS)
	put(m+"local-ipv4", in.PrivateIP)
	put(m+"placement/availability-zone", in.Zone)
	put(m+"placement/availability-zone-id", in.ZoneID)
	put(m+"placement/region", in.Region)
	put(m+"profile", "default-hvm")
	put(m+"public-hostname", in.PublicDNS)
	put(m+"public-ipv4", in.PublicIP)
	put(m+"reservation-id", in.ReservationID)
	put(m+"security-groups", strings.Join(in.SecurityGroupNames, "\n"))
	put(m+"services/domain", "amazonaws.com")
	put(m+"services/partition", "aws")
	for key, value := range in.Tags {
		t[m+"tags/instance/"+key] = value
	}
	if p := in.Profile; p != nil {
		put(m+"iam/info", mustJSON(map[string]string{
			"Code": "Success", "LastUpdated": in.LaunchTime.UTC().Format(time.RFC3339), "InstanceProfileArn": p.ARN, "InstanceProfileId": p.ID,
		}))
		if p.RoleName != "" {
			t[m+"iam/security-credentials/"+p.RoleName] = "" // answered apart
		}
	}
	for i, n := range in.Interfaces {
		if i == 0 {
			put(m+"mac", n.MAC)
		}
		d := m + "network/interfaces/macs/" + n.MAC + "/"
		put(d+"device-number", strconv.Itoa(n.DeviceNumber))
		put(d+"interface-id", n.ID)
		put(d+"local-hostname", n.PrivateDNS)
		put(d+"local-ipv4s", n.PrivateIP)
		put(d+"mac", n.MAC)
		put(d+"owner-id", in.Account)
		put(d+"public-hostname", n.PublicDNS)
		put(d+"public-ipv4s", n.PublicIP)
		if n.PublicIP != "" {
			put(d+"ipv4-associations/"+n.PublicIP, n.PrivateIP)
		}
		put(d+"security-group-ids", strings.Join(n.GroupIDs, "\n"))
		put(d+"security-groups", strings.Join(n.GroupNames, "\n"))
		put(d+"subnet-id", n.SubnetID)
		put(d+"subnet-ipv4-cidr-block", n.SubnetCIDR)
		put(d+"vpc-id", n.VPCID)
		if len(n.VPCCIDRs) > 0 {
			put(d+"vpc-ipv4-cidr-block", n.VPCCIDRs[0])
			put(d+"vpc-ipv4-cidr-blocks", strings.Join(n.VPCCIDRs, "\n"))
		}
	}
	put("dynamic/instance-identity/document", mustJSON(struct {
		AccountID        string    `json:"accountId"`
		Architecture     string    `json:"architecture"`
		AvailabilityZone string    `json:"availabilityZone"`
		ImageID          string    `json:"imageId"`
		InstanceID       string    `json:"instanceId"`
		InstanceType     string    `json:"instanceType"`
		PendingTime      time.Time `json:"pendingTime"`
		PrivateIP        string    `json:"privateIp"`
		Region           string    `json:"region"`
		Version          string    `json:"version"`
	}{in.Account, in.Architecture, in.Zone, in.ImageID, in.ID, in.Type, in.LaunchTime.UTC().Truncate(time.Second), in.PrivateIP, in.Region, "2017-09-30"}))
	return t
}

// answer is the value at a path of the tree, or the list of what is below it:
// names, with a slash where more is below.
func answer(t map[string]string, path string) (string, bool) {
	if v, ok := t[path]; ok {
		return v, true
	}
	prefix := ""
	if path != "" {
		prefix = path + "/"
	}
	names := map[string]bool{}
	for p := range t {
		if rest, ok := strings.CutPrefix(p, prefix); ok {
			name, _, deeper := strings.Cut(rest, "/")
			// macs and the folders of the top are listed with a slash; a role's
			// name is a value.
			if deeper {
				name += "/"
			}
			names[name] = true
		}
	}
	var list []string
	for n := range names {
		list = append(list, n)
	}
	sort.Strings(list)
	return strings.Join(list, "\n"), len(list) > 0
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = fmt.Fprint(w, text)
}

// plainError answers with the page that EC2's web server makes.
func plainError(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	title := fmt.Sprintf("%d - %s", status, http.StatusText(status))
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>%s</title>
 </head>
 <body>
  <h1>%s</h1>
 </body>
</html>
`, title, title)
}
