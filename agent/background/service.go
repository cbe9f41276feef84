package background

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kardianos/service"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// Service is an agent that the system runs. Name is required, Config to install it.
type Service struct {
	Name   string // of the unit, the job or the service
	Config string // configuration file; all its endpoints are taken online
	User   bool   // of one user, not of the system
	// Command checks the configuration and gives the command line that serves it, where
	// the service is something else than an agent. nil: it is one.
	Command func(path string) (arguments []string, err error)
}

// Install writes down that the agent is run, from now on at every start of the system;
// it does not start it. A configuration that cannot be read is an error now rather than
// after the next start of the machine. Errors are CodeFlagInvalid, CodeConfigInvalid
// and CodeServiceManager.
func (s Service) Install() error {
	if s.Config == "" {
		return postern.Errorf(postern.CodeFlagInvalid, "service install needs --config FILE: the service has no home directory to look in")
	}
	path, err := filepath.Abs(s.Config)
	if err != nil {
		return postern.Errorf(postern.CodeFlagInvalid, "the path %q cannot be made absolute: %v", s.Config, err)
	}
	command := s.Command
	if command == nil {
		command = agentCommand
	}
	arguments, err := command(path)
	if err != nil {
		return err
	}
	made, err := s.made(arguments)
	if err != nil {
		return err
	}
	return failure("install", made.Install())
}

// agentCommand is the command line of an agent.
func agentCommand(path string) ([]string, error) {
	file, err := config.Load(path)
	if err == nil {
		err = file.Check()
	}
	if err != nil {
		return nil, err
	}
	arguments := []string{"start", "--all", "--config", path}
	if file.Log == "" {
		arguments = append(arguments, Log(path)...)
	}
	return arguments, nil
}

// Log are the flags for the log of a service that was told nothing about it: where the
// system keeps it, or beside the configuration.
func Log(path string) []string {
	if runtime.GOOS == "windows" {
		return []string{"--log", filepath.Join(filepath.Dir(path), "postern.log"), "--log-format", "logfmt"}
	}
	return []string{"--log", "stderr", "--log-format", "logfmt"} // which systemd and launchd keep
}

// Do carries out start, stop, restart or uninstall.
func (s Service) Do(action string) error {
	made, err := s.made(nil)
	if err != nil {
		return err
	}
	return failure(action, service.Control(made, action))
}

// Status is "running", "stopped" or "not installed".
func (s Service) Status() (string, error) {
	made, err := s.made(nil)
	if err != nil {
		return "", err
	}
	status, err := made.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return "not installed", nil
	case err != nil:
		return "", failure("status", err)
	case status == service.StatusRunning:
		return "running", nil
	}
	return "stopped", nil
}

// Run runs an agent as whatever started the process wants it: under Windows' service
// manager it reports to that, elsewhere it only calls serve.
func Run(ctx context.Context, name string, serve func(context.Context) error) error {
	if runtime.GOOS != "windows" || service.Interactive() {
		return serve(ctx)
	}
	p := &program{serve: serve, exit: os.Exit, done: make(chan struct{})}
	made, err := service.New(p, &service.Config{Name: name})
	if err != nil {
		return failure("run", err)
	}
	p.ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	if err := made.Run(); err != nil {
		return failure("run", err)
	}
	<-p.done
	return p.err
}

func (s Service) made(arguments []string) (service.Service, error) {
	target := "multi-user.target"
	if s.User {
		target = "default.target"
	}
	if strings.HasPrefix(service.Platform(), "linux-systemd") {
		for i, argument := range arguments {
			arguments[i] = unitEscape(argument)
		}
	}
	title, description := "Postern agent", "Postern agent: public addresses for services of this network"
	if s.Command != nil {
		title, description = "Postern connector", "Postern connector: services of this network at a private gateway"
	}
	made, err := service.New(&program{}, &service.Config{
		Name:        s.Name,
		DisplayName: title,
		Description: description,
		Arguments:   arguments,
		Option: service.KeyValue{
			"UserService":   s.User,
			"SystemdScript": strings.ReplaceAll(systemdUnit, "TARGET", target),
			"RunAtLoad":     true,
			"KeepAlive":     true,
			"OnFailure":     "restart",
		},
	})
	if err != nil {
		return nil, failure("find", err)
	}
	return made, nil
}

func failure(action string, err error) error {
	if err == nil {
		return nil
	}
	return postern.Errorf(postern.CodeServiceManager, "the service manager (%s) failed at %q: %v", platform(), action, err).Because(err)
}

func platform() string {
	if name := service.Platform(); name != "" {
		return name
	}
	return "none was found"
}

// unitEscape keeps systemd from reading specifiers, variables and escapes into an
// argument (systemd.service(5)).
func unitEscape(argument string) string {
	return strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`).Replace(argument)
}

// systemdUnit is filled in by the service package. READY=1 comes when every endpoint is
// online, which may take as long as an outage: Type=exec does not have a start of the
// machine wait for that, and STATUS= is shown all the same.
const systemdUnit = `[Unit]
Description={{Description}}
ConditionFileIsExecutable={{Path | cmdEscape}}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
NotifyAccess=main
ExecStart={{Path | cmdEscape}}{{range Arguments}} {{. | cmd}}{{end}}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
TimeoutStopSec=40
NoNewPrivileges=yes
EnvironmentFile=-/etc/sysconfig/{{Name}}

[Install]
WantedBy=TARGET
`

// program is what the service package starts and stops, on Windows.
type program struct {
	ctx   context.Context // of the process
	stop  context.CancelFunc
	serve func(context.Context) error
	exit  func(status int)
	done  chan struct{} // closed when serve has returned
	err   error         // what it returned
}

// Start is the service package's; it does not block.
func (p *program) Start(service.Service) error {
	if p.serve != nil {
		go p.run()
	}
	return nil
}

// run serves. An end that nobody asked for ends the process: the service manager would
// go on to say "running" of a service without an agent, and starts one anew that died.
func (p *program) run() {
	p.err = p.serve(p.ctx)
	close(p.done)
	if p.ctx.Err() == nil {
		p.exit(1)
	}
}

// Stop is the service package's. It returns when the agent has ended: a restart would
// else begin with two of them, and the manager end the process amid open connections.
func (p *program) Stop(service.Service) error {
	if p.stop != nil {
		p.stop()
		<-p.done
	}
	return nil
}
