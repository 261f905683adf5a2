package main

import "context"

func runShell(ctx context.Context, c *cli, args []string) error { return errUsage }
func runDemo(ctx context.Context, c *cli, args []string) error  { return errUsage }
