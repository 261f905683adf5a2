// Command minato-helper is what lives and dies with one container:
//
//	minato-helper log DIR           writes a container's output to a spool
//	minato-helper init COMMAND…     the first process of a container that wants one
//	minato-helper hold              the first process of containers that share theirs
//
// There is one process of it for every container, so it is a program of its own
// that imports next to nothing: 1 MiB each, where as part of the shim, with all
// that containerd's packages set up at their start, it was 2.6. minato carries it
// within itself and writes it out at start.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "hold" {
		runHold()
	}
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "log":
			if err := runLog(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		case "init":
			runInit(os.Args[2:])
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: minato-helper log DIR | minato-helper init COMMAND… | minato-helper hold")
	os.Exit(2)
}
