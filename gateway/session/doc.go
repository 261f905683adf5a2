// Package session carries a terminal from a container to AWS's
// session-manager-plugin, unmodified: what ssmmessages does between the plugin
// and the agent in a container, both of which minato is.
//
//	ecs:ExecuteCommand ── Open ──►  a session that waits a minute for its client
//
//	client                                        server
//	GET /v1/data-channel/<id>, Upgrade  ────────►  101, a websocket
//	{"TokenValue": …} as text           ────────►  the token, once; else it is closed
//	                                    ◄────────  output 0: handshake request
//	input 0: handshake response         ────────►
//	                                    ◄────────  output 1: handshake complete
//	input 1: {"cols": …, "rows": …}     ────────►  the command starts
//	input n: what was typed             ◄───────►  output n: what is shown
//	                                    ◄────────  channel_closed, when all of it was acknowledged
//
// Everything after the token is a Message in a binary frame (message.go). Those
// of both streams are numbered, acknowledged one by one and sent again when the
// acknowledgement does not come: Channel, which does no input or output of its
// own. Server has the sessions, run is one that has met its client.
//
// What a session runs in, and who may open one, is the caller's affair (Spec).
//
// Not here: encryption with KMS (the server never asks for it), port forwarding,
// and taking up a session again after its connection broke (ssm:ResumeSession):
// the command then ends with the connection.
package session
