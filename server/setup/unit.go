package setup

import (
	"fmt"
	"strings"
)

const (
	// User runs the server, and owns its data.
	User = "postern"
	// ServiceName is what the service manager calls it.
	ServiceName = "postern-server"
	// StateDir is what the manager makes for it.
	StateDir = "/var/lib/postern"
)

// Service is what the system is to run.
type Service struct {
	Binary  string // absolute
	Config  string // absolute
	DataDir string // absolute
}

// Unit is the unit of systemd. A reload takes the server over without a visitor's noticing
// (docs/upgrade.md), with a new version, a new configuration, or both. The server may have
// ports below 1024 and nothing else that an ordinary program may not.
func (s Service) Unit() string {
	command := fmt.Sprintf("%s server --config %s --upgrade", word(s.Binary), word(s.Config))
	state := "StateDirectory=postern\nStateDirectoryMode=0700"
	if s.DataDir != StateDir {
		state = "ReadWritePaths=" + word(s.DataDir)
	}
	return strings.NewReplacer("COMMAND", command, "STATE", state, "USER", User).Replace(unit)
}

// word is an argument as systemd reads it (systemd.service(5), "Command lines").
func word(text string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(text)
	if strings.ContainsAny(escaped, " \t'\"") {
		return `"` + escaped + `"`
	}
	return escaped
}

const unit = `[Unit]
Description=Postern server
Documentation=https://github.com/postern-dev/postern
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
User=USER
Group=USER
ExecStart=COMMAND
ExecReload=/bin/sh -c '"$$0" "$$@" &' COMMAND
KillMode=mixed
TimeoutStopSec=45
Restart=on-failure
RestartSec=2
STATE
UMask=0077
LimitNOFILE=1048576
TasksMax=infinity

AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`
