package tunnel

import "runtime/debug"

const modulePath = "github.com/postern-dev/postern"

// moduleVersion is the version of this module in the program that embeds it.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "0.0.0-dev"
	}
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path == modulePath && module.Version != "" && module.Version != "(devel)" {
			return module.Version
		}
	}
	return "0.0.0-dev"
}
