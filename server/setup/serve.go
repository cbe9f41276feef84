package setup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/pki"
)

const (
	// readyTime is how long a server has to come up; a database may be migrated.
	readyTime = 2 * time.Minute
	// certificateTime is how long the first certificate may take.
	certificateTime = 2 * time.Minute
	lookEvery       = 500 * time.Millisecond
)

// serve has the system run the server, and returns when it is ready.
func (s *Setup) serve(ctx context.Context, manager Manager, file File) error {
	binary, replaced, err := s.program()
	if err != nil {
		return err
	}
	if err := s.account(ctx, file); err != nil {
		return err
	}
	service := Service{Binary: binary, Config: file.Path, DataDir: file.Config.DataDir}
	changed, err := s.install(manager, service)
	if err != nil {
		return err
	}
	switch {
	case !manager.Running():
		s.Console.Tell("Starting %s.\n", ServiceName)
		err = manager.Start(ctx)
	case file.Changed() || replaced:
		s.Console.Tell("%s runs; it takes the change up without a visitor's noticing.\n", ServiceName)
		err = manager.Reload(ctx)
	}
	if err == nil && changed && manager.Running() && !file.New {
		s.Console.Tell("What has changed in the unit itself counts from the next start: systemctl restart %s\n", ServiceName)
	}
	if err != nil {
		return err
	}
	return s.awaitReady(ctx, file.Config)
}

// program puts this program where a service finds it.
func (s *Setup) program() (path string, replaced bool, err error) {
	if Lasting(s.Executable) {
		return s.Executable, false, nil
	}
	path, replaced, err = InstallBinary(s.Executable)
	if err == nil && replaced {
		s.Console.Tell("Copied this program to %s.\n", path)
	}
	return path, replaced, err
}

// account makes the user that runs the server, and lets it read the configuration and have
// its data.
func (s *Setup) account(ctx context.Context, file File) error {
	made, err := EnsureUser(ctx, s.Run)
	if err != nil {
		return err
	}
	if made {
		s.Console.Tell("Made the user %s, which runs the server.\n", User)
	}
	uid, gid, err := ids()
	if err != nil {
		return err
	}
	if err := fileOwner(file.Path, gid); err != nil {
		return err
	}
	if file.Config.DataDir == StateDir {
		return nil // systemd makes it
	}
	if err := errors.Join(os.MkdirAll(file.Config.DataDir, 0o700), giveTree(file.Config.DataDir, uid, gid)); err != nil {
		return postern.Errorf(postern.CodeFileUnreadable, "%s cannot be given to the user %s: %v", file.Config.DataDir, User, err).Because(err)
	}
	return nil
}

func ids() (uid, gid int, err error) {
	found, err := user.Lookup(User)
	if err == nil {
		uid, err = strconv.Atoi(found.Uid)
	}
	if err == nil {
		gid, err = strconv.Atoi(found.Gid)
	}
	if err != nil {
		err = postern.Errorf(postern.CodeServiceManager, "the user %s cannot be looked up: %v", User, err).Because(err)
	}
	return uid, gid, err
}

// giveTree gives a directory and what is in it to a user; what links lead to stays as it is.
func giveTree(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

// install puts the unit in its place, with consent where it replaces another one.
func (s *Setup) install(manager Manager, service Service) (changed bool, err error) {
	unit := service.Unit()
	there, err := manager.Installed()
	switch {
	case err != nil:
		return false, err
	case there == unit:
		s.Console.Tell("The service %s is as it should be.\n", ServiceName)
		return false, nil
	case there != "":
		s.Console.Tell("%s", Diff(unitPath, there, unit))
		if err := s.consent("Replace the unit like this?", "the unit "+unitPath); err != nil {
			return false, err
		}
	}
	if err := manager.Install(unit); err != nil {
		return false, err
	}
	s.Console.Tell("Installed the service %s, which starts with the machine.\n", ServiceName)
	return true, nil
}

// awaitReady waits until the server says that it serves.
func (s *Setup) awaitReady(ctx context.Context, c server.Config) error {
	if c.Listen.Admin == "" {
		return nil // whoever started it has waited for its word
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	err := poll(ctx, func() error { return ready(ctx, c) })
	if err != nil {
		return postern.Errorf(postern.CodeSetupUnhealthy, "the server does not say that it is ready: %v; its log: journalctl -u %s", err, ServiceName).Because(err)
	}
	s.Console.Tell("The server is ready.\n")
	return nil
}

// poll asks again and again until there is no error, or ctx ends; then the last error counts.
func poll(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}

// byHand says what is left to do where nothing runs the server.
func (s *Setup) byHand(ctx context.Context, c server.Config) error {
	if ready(ctx, c) == nil {
		return s.finish(ctx, c)
	}
	s.Console.Tell(`Nothing was installed that runs the server. Start it with

    %s server --config %s

and run this again: it goes on from there, with the first account and its keys.
`, s.Executable, s.Path)
	return nil
}

// finish makes the first account and says how to get to the first URL.
func (s *Setup) finish(ctx context.Context, c server.Config) error {
	keys, err := s.Bootstrap(ctx, c)
	if err != nil {
		return err
	}
	s.Console.Tell("\n%s\n", s.farewell(c, keys)) // before a wait, in which somebody may lose patience and the keys
	s.certificate(ctx, c, keys.ChallengeRecord)
	return nil
}

// certificate tells what whoever dials connect.<domain> is shown, and which record has to
// be made for that.
func (s *Setup) certificate(ctx context.Context, c server.Config, record string) {
	if record != "" {
		s.Console.Tell("The certificate for *.%s is proved by this record; make it, if it is not there:\n\n    %s\n\n", c.Domain, record)
	}
	allowed := dialTime
	if settingOf("tls.mode").Value(c) == "acme" {
		allowed = certificateTime
		s.Console.Tell("Waiting for the first certificate, for %s.\n", "connect."+c.Domain)
	}
	ctx, cancel := context.WithTimeout(ctx, allowed)
	defer cancel()
	var shown string
	err := poll(ctx, func() (err error) {
		shown, err = s.shown(ctx, c)
		return err
	})
	if err != nil {
		s.Console.Tell("There is no certificate for connect.%s yet: %v. The server goes on trying; its log says why: journalctl -u %s\n", c.Domain, err, ServiceName)
		return
	}
	s.Console.Tell("connect.%s has a certificate, %s.\n", c.Domain, shown)
}

// shown is the certificate that an agent meets. Who vouches for it is for the agent to
// judge; here it is only named.
func (s *Setup) shown(ctx context.Context, c server.Config) (string, error) {
	conn, err := s.Network.Dial(ctx, "tcp", here(c.Listen.HTTPS))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	secured := tls.Client(conn, &tls.Config{ServerName: "connect." + string(c.Domain), InsecureSkipVerify: true}) //nolint:gosec // what is shown is looked at, and nothing sent
	if err := secured.HandshakeContext(ctx); err != nil {
		return "", err
	}
	leaf := secured.ConnectionState().PeerCertificates[0]
	if err := leaf.VerifyHostname("connect." + string(c.Domain)); err != nil {
		return "", err
	}
	if settingOf("tls.mode").Value(c) == server.ModeACME && pki.MadeHere(leaf) {
		return "", errors.New("it shows one of its own making until the authority has issued it")
	}
	return fmt.Sprintf("issued by %s, good until %s", leaf.Issuer, leaf.NotAfter.UTC().Format(time.DateOnly)), nil
}

// farewell is what there is now, and the way to the first URL.
func (s *Setup) farewell(c server.Config, keys server.Keys) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Account:    %s\n", keys.AccountID)
	token := "TOKEN"
	if keys.Authtoken == "" {
		text.WriteString("Its keys were shown when it was made, and are kept nowhere. Another authtoken: postern api credentials create\n")
	} else {
		token = keys.Authtoken
		fmt.Fprintf(&text, "API key:    %s\nAuthtoken:  %s\n\nThese are not shown again.\n", keys.APIKey, keys.Authtoken)
	}
	address := "https://" + string(c.Domain)
	if _, port, err := net.SplitHostPort(c.Listen.HTTPS); err == nil && c.Public.HTTPS == 0 && port != "443" {
		address += ":" + port
	}
	login := fmt.Sprintf("postern login %s --token %s", address, token)
	if keys.CAPin != "" {
		login += " --ca-pin " + keys.CAPin
	}
	fmt.Fprintf(&text, `
Next to a service, on any machine that reaches this one:

    %s
    postern http 8080 --url https://app.%s

There is no dashboard in this version: people, keys and names are managed with "postern server users",
"postern api" and the REST API at https://api.%s.
`, login, c.Domain, c.Domain)
	return text.String()
}
