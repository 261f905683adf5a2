// Package version says which minato this is.
package version

import "runtime/debug"

// number is the release; the revision comes from the build.
const number = "0.1.0"

// String is the version, with the revision where the build recorded one.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return number
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return number + "+" + s.Value[:12]
		}
	}
	return number
}
