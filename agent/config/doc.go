// Package config reads an agent's configuration files: ngrok.yml as its users have
// it, versions 1 (no version key), 2 and 3, and our own keys beside.
//
// A file is checked as it is read, and every message says file, line and column.
// Keys that cannot change what visitors get (inspect, region, web_addr, …) and have
// no effect here are accepted with a warning, so that a file can be shared with
// another agent; any other unknown key is an error, because an option that guards
// an endpoint must never be passed over.
package config
