package postgres

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// serverUser is who PostgreSQL runs as: it refuses root, who becomes the user that its
// package made. found is false where nothing needs to change.
func serverUser() (uid, gid uint32, found bool, err error) {
	if os.Getuid() != 0 {
		return 0, 0, false, nil
	}
	account, err := user.Lookup(superuser)
	if err != nil {
		return 0, 0, false, fmt.Errorf("PostgreSQL does not run as root and its own user is missing; run scripts/test-deps.sh test: %w", err)
	}
	u, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return 0, 0, false, err
	}
	g, err := strconv.ParseUint(account.Gid, 10, 32)
	return uint32(u), uint32(g), err == nil, err
}

// asServer has a command run as the server's user, and die with the test.
func asServer(command *exec.Cmd) error {
	uid, gid, found, err := serverUser()
	if err != nil {
		return err
	}
	// SIGQUIT is PostgreSQL's "immediate shutdown": it takes its children with it. A
	// group of its own keeps an interrupt at the terminal for the test.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if found {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return nil
}

// giveAway makes the server's user the owner of paths.
func giveAway(paths ...string) error {
	uid, gid, found, err := serverUser()
	if err != nil || !found {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, int(uid), int(gid)); err != nil {
			return err
		}
	}
	return nil
}
