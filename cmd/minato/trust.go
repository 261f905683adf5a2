package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"minato/daemon/instance"
)

// runTrust shows the CA of AWS's names here, and how to give it to clients. Where
// docker and skopeo look, `up` has put it already, unless --host-names=false.
func runTrust(_ context.Context, c *cli, args []string) error {
	pem := c.flags.Bool("pem", false, "print the certificate and nothing else")
	if err := c.parse(args); err != nil {
		return err
	}
	if c.flags.NArg() > 0 {
		return fmt.Errorf("trust takes no argument: %w", errUsage)
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	s, err := in.State()
	if err != nil {
		return err
	}
	name := in.Path("ca", "ca.crt")
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%s is root's: run this with sudo", name)
	}
	if err != nil {
		return err
	}
	if *pem {
		_, err := c.stdout.Write(b)
		return err
	}
	printTrust(c.stdout, s, name)
	return nil
}

func printTrust(w io.Writer, s instance.State, ca string) {
	registry := s.Account + ".dkr.ecr." + s.Region + ".amazonaws.com"
	file := shellQuote(ca)
	fmt.Fprintf(w, "The CA of AWS's names on this machine is %s.\nIts certificate is good for amazonaws.com and the public range %s only, so that trusting it gives\nnobody the power over other sites.\n", ca, s.PublicCIDR)
	if s.HostNames {
		fmt.Fprintf(w, "\ndocker, podman, skopeo and buildah on this machine trust it already (/etc/docker/certs.d/%s).\n", registry)
	}
	for _, way := range [][2]string{
		{"docker on another machine", "mkdir -p /etc/docker/certs.d/" + registry + " && cp ca.crt /etc/docker/certs.d/" + registry + "/  # and " + s.ServiceAddress + " " + registry + " in its /etc/hosts, where it is reached"},
		{"buildx's container driver", "printf '[registry.\"" + registry + "\"]\\n  ca=[\"" + ca + "\"]\\n' >buildkitd.toml && docker buildx create --use --driver-opt network=host --buildkitd-config buildkitd.toml"},
		{"crane, cosign, ko and other Go programs", "export SSL_CERT_FILE=" + file},
		{"curl", "curl --cacert " + file + " https://" + registry + "/v2/"},
		{"the aws CLI and Python", "export AWS_CA_BUNDLE=" + file + " REQUESTS_CA_BUNDLE=" + file},
		{"Node.js", "export NODE_EXTRA_CA_CERTS=" + file},
		{"the whole machine", "cp " + file + " /usr/local/share/ca-certificates/minato.crt && update-ca-certificates"},
	} {
		fmt.Fprintf(w, "\n%s:\n  %s\n", way[0], way[1])
	}
}
