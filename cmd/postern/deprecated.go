package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// olderFlags are what earlier generations called today's flags.
var olderFlags = map[string]string{
	"auth": "basic-auth", "hostname": "url", "domain": "url", "remote-addr": "url", "schemes": "scheme",
	"app-protocol":        "upstream-protocol",
	"verify-upstream-tls": "upstream-tls-verify", "upstream-ca-path": "upstream-tls-verify-cas",
	"policy-file": "traffic-policy-file", "client-cas": "mutual-tls-cas",
	"server-addr": "connect-url", "root-cas": "connect-cas",
}

// deprecatedFlags are warnings of those that were given, for the log: a word on stderr
// is a failure to programs that start an agent.
func deprecatedFlags(flags *pflag.FlagSet) []string {
	var warnings []string
	flags.Visit(func(flag *pflag.Flag) {
		if now, found := olderFlags[flag.Name]; found {
			warnings = append(warnings, fmt.Sprintf("--%s is deprecated; use --%s", flag.Name, now))
		}
	})
	return warnings
}
