package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"minato/internal/version"
)

func runVersion(_ context.Context, c *cli, args []string) error {
	if err := c.parse(args); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "minato %s (%s, %s/%s)\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/containerd/containerd/v2":
				fmt.Fprintf(c.stdout, "containerd %s\n", d.Version)
			case "github.com/moby/buildkit":
				fmt.Fprintf(c.stdout, "buildkit %s\n", d.Version)
			}
		}
	}
	return nil
}
