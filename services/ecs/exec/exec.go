// Package exec is what ECS Exec decides and does for one session: which container
// is meant and whether a command can run there, where its transcript goes, and
// the command's process in the terms of gateway/session.
//
// On AWS an agent is put into every container of a task with enableExecuteCommand
// and connects to ssmmessages as the task role, over the task's own network. Here
// the runtime is the agent; what would keep it from connecting keeps a session
// from being opened (package ecs asks IAM and the network).
package exec

import (
	"slices"
	"strings"
	"time"

	"github.com/google/shlex"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/internal/ids"
)

// The statuses of the agent in a container, as describe-tasks shows them.
const (
	agentPending = "PENDING"
	agentRunning = "RUNNING"
	agentStopped = "STOPPED"
)

// AgentActions are what the task role must be allowed, or the agent does not
// connect.
var AgentActions = []string{"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"}

// NewSessionID names a session.
func NewSessionID() string { return "ecs-execute-command-" + ids.Hex(17) }

// NewAgents are the agents of a container whose task is new.
func NewAgents() []ecsapi.ManagedAgent {
	return []ecsapi.ManagedAgent{{Name: aws.Ptr(ecsapi.ManagedAgentNameExecuteCommandAgent), LastStatus: aws.Ptr(agentPending)}}
}

// ReadOnly is why the agent does not run in a container with a read-only root
// file system: it has to write there, on AWS.
const ReadOnly = "The agent needs a root file system that it can write to, and the container has readonlyRootFilesystem."

// ShowAgent writes into a container what becomes of its agent when the container
// does; it reports whether that is news.
func ShowAgent(c *ecsapi.Container, readOnly bool, now time.Time) bool {
	if len(c.ManagedAgents) == 0 {
		return false
	}
	a := &c.ManagedAgents[0]
	want := agentPending
	switch {
	case aws.Val(c.LastStatus) == "STOPPED", aws.Val(c.LastStatus) == "RUNNING" && readOnly:
		want = agentStopped
	case aws.Val(c.LastStatus) == "RUNNING":
		want = agentRunning
	}
	if aws.Val(a.LastStatus) == want {
		return false
	}
	// Written anew: the record that it was copied from shares the slice.
	next := ecsapi.ManagedAgent{Name: a.Name, LastStatus: &want, LastStartedAt: a.LastStartedAt}
	if want == agentRunning {
		next.LastStartedAt = &now
	}
	if want == agentStopped && readOnly {
		next.Reason = aws.Ptr(ReadOnly)
	}
	c.ManagedAgents = []ecsapi.ManagedAgent{next}
	return true
}

// NoRole refuses a task that is to be entered and has no task role, which is
// what an agent needs to connect.
func NoRole() error {
	return ecsapi.InvalidParameterException("The execute command failed because a valid task role is not being used. Specify a valid task role in your task definition or as a task override and try again.")
}

// NoServiceRole is NoRole for a service that is "created" or "updated".
func NoServiceRole(what string) error {
	return ecsapi.InvalidParameterException("The service couldn't be %s because a valid taskRoleArn is not being used. Specify a valid task role in your task definition and try again.", what)
}

// NotConnected is the answer when the agent does not connect; cause is for the
// log.
func NotConnected(cause error) error {
	return ecsapi.TargetNotConnectedException("The execute command failed due to an internal error. Try again later.").Because(cause)
}

func notEnabled() error {
	return ecsapi.InvalidParameterException("The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running. Wait and try again or run a new task with execute command enabled and try again.")
}

// Container finds the container that a call means: the only one, or the named
// one.
func Container(t *ecsapi.Task, name *string) (*ecsapi.Container, error) {
	if name == nil || *name == "" {
		if len(t.Containers) != 1 {
			return nil, ecsapi.InvalidParameterException("The container name must be specified for tasks with multiple containers. Specify a container name and try again.")
		}
		return &t.Containers[0], nil
	}
	i := slices.IndexFunc(t.Containers, func(c ecsapi.Container) bool { return aws.Val(c.Name) == *name })
	if i < 0 {
		return nil, ecsapi.InvalidParameterException("The container '%s' was not found in the task. Specify a valid container name and try again.", *name)
	}
	return &t.Containers[i], nil
}

// Enterable tells whether a command can run in a container of a task; why not is
// ECS's answer.
func Enterable(t *ecsapi.Task, c *ecsapi.Container) error {
	running := slices.ContainsFunc(c.ManagedAgents, func(a ecsapi.ManagedAgent) bool { return aws.Val(a.LastStatus) == agentRunning })
	if !aws.Val(t.EnableExecuteCommand) || aws.Val(t.DesiredStatus) != "RUNNING" || !running {
		return notEnabled()
	}
	return nil
}

// Arguments takes a command apart as the agent does: words and quotes as in a
// shell, without a shell.
func Arguments(command string) ([]string, error) {
	args, err := shlex.Split(command)
	if err != nil {
		return nil, ecsapi.InvalidParameterException("Failed to parse the command: %v.", err)
	}
	if len(args) == 0 {
		return nil, ecsapi.InvalidParameterException("The command cannot be blank.")
	}
	return args, nil
}

// startText is what the client is shown when a command cannot be started: reason
// is the OCI runtime's.
func startText(reason string) string {
	// "exec failed: unable to start container process: exec: "bash": executable …"
	if i := strings.Index(reason, "exec: "); i >= 0 {
		reason = reason[i:]
	}
	return "\n----------ERROR-------\nUnable to start command: Failed to start pty: " + strings.TrimSpace(reason)
}
