package life

import (
	"fmt"

	"minato/dataplane/container"
)

// DependencyExitCode is what is shown of a container that was never started
// because its dependencies will never hold.
const DependencyExitCode = 143

func unresolved(on, target *Container, why string) string {
	return fmt.Sprintf("CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [%v] for target [%v] %s", on, target, why)
}

func timedOut(on, target *Container) string {
	return fmt.Sprintf("CannotStartContainerError: dependency graph: container ordering dependency [%v] for target [%v] has timed out.", on, target)
}

// String is how ECS's agent writes a container into its reasons.
func (c *Container) String() string {
	known, exit := "NONE", ""
	switch {
	case c.Failed:
		known = "STOPPED"
		if c.Seen == nil {
			exit = fmt.Sprintf(" - Exit: %d", DependencyExitCode)
		}
	case c.Seen == nil:
	case c.Seen.State == container.Created:
		known = "CREATED"
	case c.Seen.State == container.Running:
		known = "RUNNING"
	case c.Seen.State == container.Ended:
		known, exit = "STOPPED", fmt.Sprintf(" - Exit: %d", c.Seen.ExitCode)
	}
	return fmt.Sprintf("%s(%s) (%s->RUNNING)%s", c.Name, c.Image, known, exit)
}
