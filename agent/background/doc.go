// Package background has an agent run without anybody logged in: as a systemd unit, a
// launchd job or a Windows service, which starts with the machine and comes back when
// it ends.
package background
