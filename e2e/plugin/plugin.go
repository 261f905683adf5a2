//go:build tools

// Package plugin pins AWS's session-manager-plugin, which has no go.mod, for the
// end-to-end tests of ECS Exec: a module of its own, so that the plugin's
// dependencies are not minato's. twinj/uuid stays at the last version whose
// UUIDs are slices, as the plugin expects.
package plugin

import _ "github.com/aws/session-manager-plugin/src/sessionmanagerplugin-main"
