package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/identity"
	"minato/daemon/instance"
	"minato/daemon/relay"
	"minato/dataplane/build"
	"minato/gateway/metadata"
	"minato/services/ec2/guest"
)

// builders are the instance's builders: that of this machine's root, and that of
// the workspaces.
func builders(in instance.Instance) []build.Config {
	return []build.Config{build.At(in.DataDir, in.RunDir()), build.Confined(in.DataDir, in.RunDir())}
}

// newRelay makes the relay by which workspaces build.
func (d *daemon) newRelay() (*relay.Server, error) {
	config := build.Confined(d.in.DataDir, d.in.RunDir())
	config.Registries = []build.Registry{{Suffix: ".dkr.ecr." + d.cfg.Region + ".amazonaws.com", Address: d.cfg.Listen}}
	return relay.New(relay.Server{
		Dir:   d.in.Path("workspaces", ".builds"),
		Build: func(ctx context.Context, r build.Request) (build.Result, error) { return build.Run(ctx, config, r) },
		Login: d.instanceLogin, Log: d.log,
	})
}

// instanceLogin is a registry login of the role in an instance's profile: asked
// of ECR with the role's keys, so that IAM decides.
func (d *daemon) instanceLogin(ctx context.Context, instance string) (user, password string, err error) {
	keys, err := d.ec2.InstanceCredentials(ctx, instance)
	if err != nil {
		return "", "", err
	}
	if keys == nil {
		return "", "", errors.New("unable to locate credentials: the workspace's instance " + instance + " has no instance profile")
	}
	known, err := d.sts.Credential(ctx, keys.AccessKeyID)
	if err != nil {
		return "", "", err
	}
	caller := known.Caller
	caller.Region, caller.AccessKeyID = d.cfg.Region, keys.AccessKeyID
	out, err := ecrapi.NewClient(d.gateway).GetAuthorizationToken(identity.With(ctx, caller), &ecrapi.GetAuthorizationTokenInput{})
	if err != nil {
		return "", "", err
	}
	if len(out.AuthorizationData) == 0 {
		return "", "", errors.New("ECR gave no authorization data")
	}
	return splitLogin(aws.Val(out.AuthorizationData[0].AuthorizationToken))
}

// guestTools puts this program where instances see it, as minato.
func (d *daemon) guestTools() (string, error) {
	return guest.Install(d.in.Path("workspaces", ".tools"), "minato", "/proc/self/exe")
}

// relayAddress is where a workspace finds the relay.
var relayAddress = "http://" + metadata.InstanceAddr.String()

// splitLogin takes ECR's token, base64 of user:password, apart.
func splitLogin(token string) (user, password string, err error) {
	text, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return "", "", err
	}
	user, password, ok := strings.Cut(string(text), ":")
	if !ok {
		return "", "", errors.New("ECR's token is no user and password")
	}
	return user, password, nil
}
