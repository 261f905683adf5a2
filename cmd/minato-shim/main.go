// Command minato-shim is containerd's shim for runc, which holds the containers of
// one group. It is a program of its own because there is one process of it for
// every group: a third of minato's memory and a quarter of its start-up time.
// minato carries it within itself and writes it out at start.
package main

import (
	"context"

	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task/plugin" // the shim's service
	"github.com/containerd/containerd/v2/pkg/shim"
)

func main() { shim.RunShim(context.Background(), manager.NewShimManager("io.containerd.runc.v2")) }
