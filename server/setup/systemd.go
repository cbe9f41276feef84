package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/kardianos/service"

	"github.com/postern-dev/postern"
)

// Manager is what runs services on a machine.
type Manager interface {
	// Installed is the unit that is there, "" for none.
	Installed() (string, error)
	// Install puts the unit in the place of the one that is there, and has the system start
	// it with the machine.
	Install(unit string) error
	// Running tells whether the service runs.
	Running() bool
	// Start starts the service, and returns when it says that it is ready.
	Start(ctx context.Context) error
	// Reload has a service that runs take up its configuration and its program anew.
	Reload(ctx context.Context) error
}

// Systemd is the Manager of most Linux systems; nil with an explanation where this machine
// has another or none.
func Systemd(run Run) (Manager, error) {
	if !strings.HasPrefix(service.Platform(), "linux-systemd") {
		return nil, postern.Errorf(postern.CodeServiceManager, "this machine is not run by systemd, the only service manager that setup installs a server for")
	}
	return &systemd{run: run}, nil
}

// program satisfies the service package, which runs nothing here.
type program struct{}

func (program) Start(service.Service) error { return nil }
func (program) Stop(service.Service) error  { return nil }

type systemd struct{ run Run }

const unitPath = "/etc/systemd/system/" + ServiceName + ".service"

func (s *systemd) made(unit string) (service.Service, error) {
	made, err := service.New(program{}, &service.Config{
		Name: ServiceName, DisplayName: "Postern server", Description: "Postern server",
		Option: service.KeyValue{"SystemdScript": unit},
	})
	return made, failure("find", err)
}

func (s *systemd) Installed() (string, error) {
	text, err := os.ReadFile(unitPath)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), failure("read", err)
}

func (s *systemd) Install(unit string) error {
	if strings.Contains(unit, "{{") {
		return postern.Errorf(postern.CodeServiceManager, "a path with {{ in it cannot be part of a unit")
	}
	made, err := s.made(unit)
	if err != nil {
		return err
	}
	if err := os.Remove(unitPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure("replace", err)
	}
	return failure("install", made.Install())
}

func (s *systemd) Running() bool {
	made, err := s.made("")
	if err != nil {
		return false
	}
	status, err := made.Status()
	return err == nil && status == service.StatusRunning
}

// Start has systemd say what went wrong, too, where the service does not come up.
func (s *systemd) Start(ctx context.Context) error { return s.control(ctx, "start") }

func (s *systemd) Reload(ctx context.Context) error { return s.control(ctx, "reload") }

func (s *systemd) control(ctx context.Context, action string) error {
	said, err := s.run(ctx, "systemctl", action, ServiceName+".service")
	if err == nil {
		return nil
	}
	journal, _ := s.run(ctx, "journalctl", "--no-pager", "--lines=20", "--output=cat", "--unit="+ServiceName+".service")
	return postern.Errorf(postern.CodeServiceManager, "systemd could not %s %s: %s\n%s", action, ServiceName, strings.TrimSpace(said), strings.TrimSpace(journal)).Because(err)
}

func failure(action string, err error) error {
	if err == nil {
		return nil
	}
	return postern.Errorf(postern.CodeServiceManager, "the service manager (%s) failed at %q: %v", service.Platform(), action, err).Because(err)
}

// EnsureUser makes the user that runs the server, unless there is one. It tells whether it
// made it.
func EnsureUser(ctx context.Context, run Run) (made bool, err error) {
	if _, err := run(ctx, "id", "-u", User); err == nil {
		return false, nil
	}
	said, err := run(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", StateDir, "--shell", "/usr/sbin/nologin", User)
	if err != nil {
		if _, other := run(ctx, "adduser", "-S", "-D", "-H", "-h", StateDir, "-s", "/sbin/nologin", User); other != nil { // busybox
			return false, postern.Errorf(postern.CodeServiceManager, "the user %s cannot be made: %s", User, strings.TrimSpace(fmt.Sprintf("%v %s", err, said))).Because(err)
		}
	}
	return true, nil
}
