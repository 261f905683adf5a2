// Command minato-shim is the small second program of minato: containerd's shim
// for runc, which holds the containers of one group, and two helpers that live
// and die with a container:
//
//	minato-shim [flags of a shim]   the shim
//	minato-shim log DIR             writes a container's output to a spool
//	minato-shim init COMMAND…       the first process of a container that wants one
//
// It is a program of its own because there is one process of it for every group
// and another for every container: a third of minato's memory and a quarter of
// its start-up time. minato carries it within itself and writes it out at start.
package main

import (
	"context"
	"os"

	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task/plugin" // the shim's service
	"github.com/containerd/containerd/v2/pkg/shim"
)

func main() {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "log":
			runLog(os.Args[2])
			return
		case "init":
			runInit(os.Args[2:])
			return
		}
	}
	shim.RunShim(context.Background(), manager.NewShimManager("io.containerd.runc.v2"))
}
