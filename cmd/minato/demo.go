package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"minato/cmd/minato/demo"
	"minato/daemon"
	"minato/daemon/instance"
)

// runDemo brings an instance up, if need be, and goes the workshop's way on it.
func runDemo(ctx context.Context, c *cli, args []string) error {
	source := c.flags.String("source", "", "the folder examples/workshop (default: beside the binary's folder, or below the working directory)")
	pace := c.flags.Float64("pace", 20, "the instance's pace, if it is started now")
	if err := c.parse(args); err != nil {
		return err
	}
	dir, err := findWorkshop(*source)
	if err != nil {
		return err
	}
	dataDir, err := filepath.Abs(c.dataDir)
	if err != nil {
		return err
	}
	if in, err := instance.Find(dataDir); err != nil || !daemon.Alive(ctx, in) {
		up := &cli{stdout: c.stdout, stderr: c.stderr}
		up.newFlags("minato up")
		if err := runUp(ctx, up, []string{"-d", "--data-dir", dataDir, "--pace", fmt.Sprint(*pace)}); err != nil {
			return err
		}
	}
	e, err := c.clientEnv()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(ctx, demo.Options{Self: self, DataDir: dataDir, Env: e.environ(os.Environ()), Source: dir, Out: os.Stdout})
}

// findWorkshop finds the examples beside the program or where the user stands.
func findWorkshop(source string) (string, error) {
	candidates := []string{source}
	if source == "" {
		candidates = nil
		if self, err := os.Executable(); err == nil {
			candidates = append(candidates, filepath.Join(filepath.Dir(filepath.Dir(self)), "examples", "workshop"))
		}
		candidates = append(candidates, filepath.Join("examples", "workshop"))
	}
	for _, dir := range candidates {
		if _, err := os.Stat(filepath.Join(dir, "template.json")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("the workshop's files are not at " + strings.Join(candidates, " nor at ") + ": run this from the project's folder, or name them with --source")
}
