package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/postern-dev/postern/internal/testkit/ports"
)

const (
	// startTime is how long a server may take to answer, stopTime how long to end.
	startTime = 30 * time.Second
	stopTime  = 30 * time.Second

	superuser = "postgres"
)

// Cluster is a PostgreSQL server with its data. Database may be called concurrently;
// Stop, Resume and Close belong to one goroutine.
type Cluster struct {
	bin      string // where its programs are, "" for PATH
	dir      string // ours: data, socket, log
	port     *ports.Claim
	password string
	process  *exec.Cmd
	made     atomic.Int64 // databases
}

// Start makes a cluster and runs it. It blocks until the server answers, which takes
// a second or two. The caller must Close it.
func Start() (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	// Not a test's own directory: those above it are closed to the server's user.
	dir, err := os.MkdirTemp("", "postern-postgres-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, dir: dir, password: rand.Text()}
	if err := c.initialise(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.Resume(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// programs finds the directory of the newest version that is installed.
func programs() (string, error) {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err == nil && len(found) > 0 {
		newest, version := "", -1
		for _, path := range found {
			bin := filepath.Dir(path)
			if n, err := strconv.Atoi(filepath.Base(filepath.Dir(bin))); err == nil && n > version {
				newest, version = bin, n
			}
		}
		return newest, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("PostgreSQL is not installed, and these tests need a real one; run scripts/test-deps.sh test")
}

// initialise makes the data directory.
func (c *Cluster) initialise() error {
	secret := filepath.Join(c.dir, "password")
	if err := os.WriteFile(secret, []byte(c.password), 0o600); err != nil {
		return err
	}
	if err := giveAway(c.dir, secret); err != nil {
		return fmt.Errorf("give %s to the user that PostgreSQL runs as: %w", c.dir, err)
	}
	command := c.command(context.Background(), "initdb", "--no-sync", "--auth=scram-sha-256", "--username="+superuser, "--pwfile="+secret,
		"--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en", "--pgdata="+c.data())
	if err := asServer(command); err != nil {
		return err
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return nil
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "LC_ALL=C")
	return command
}

// Resume runs the server again after Stop, on the same port with the same data, and
// returns when it answers. A server that runs stays as it is.
func (c *Cluster) Resume() error {
	if c.process != nil {
		return nil
	}
	if c.port == nil {
		claim, err := ports.Take(1)
		if err != nil {
			return err
		}
		c.port = claim
	}
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// The data is thrown away with the test, so nothing waits for a disk.
	server := c.command(context.Background(), "postgres", "-D", c.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(c.port.First), "-k", c.dir,
		"-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB")
	server.Stdout, server.Stderr = log, log
	if err := asServer(server); err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	c.process = server
	if err := c.await(); err != nil {
		return errors.Join(err, c.Stop())
	}
	return nil
}

// await asks until the server answers.
func (c *Cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.command(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port.First), "-U", superuser).Run() == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer on port %d; it said:\n%s", c.port.First, said)
		}
	}
}

// Stop ends the server at once and cuts its connections, and keeps the data.
func (c *Cluster) Stop() error {
	server := c.process
	if server == nil {
		return nil
	}
	c.process = nil
	if err := server.Process.Signal(syscall.SIGINT); err != nil { // PostgreSQL's "fast shutdown"
		_ = server.Process.Kill()
	}
	impatience := time.AfterFunc(stopTime, func() { _ = server.Process.Kill() })
	defer impatience.Stop()
	return server.Wait()
}

// Close ends the server and removes the data.
func (c *Cluster) Close() error { return errors.Join(c.Stop(), os.RemoveAll(c.dir)) }

// Addr is where the server listens.
func (c *Cluster) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port.First)) }

// URL is what connects to the database as its owner, with the password.
func (c *Cluster) URL(database string) string {
	location := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, c.password), Host: c.Addr(), Path: "/" + database}
	return location.String()
}

// Create makes an empty database and returns its name.
func (c *Cluster) Create(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test_%d", c.made.Add(1))
	_, err := c.Query(ctx, superuser, "CREATE DATABASE "+name)
	return name, err
}

// Drop removes a database, connections and all.
func (c *Cluster) Drop(ctx context.Context, database string) error {
	_, err := c.Query(ctx, superuser, "DROP DATABASE "+database+" WITH (FORCE)")
	return err
}

// Query runs one statement in a database as an operator would, and returns its rows,
// a line each with "|" between columns.
func (c *Cluster) Query(ctx context.Context, database, statement string) (string, error) {
	command := c.command(ctx, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port.First),
		"-U", superuser, "-d", database, "-c", statement)
	command.Env = append(command.Env, "PGPASSWORD="+c.password)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", statement, err, output)
	}
	return strings.TrimSpace(string(output)), nil
}

// Dump gives all of a database as text: bytes are in hexadecimal digits.
func (c *Cluster) Dump(ctx context.Context, database string) (string, error) {
	command := c.command(ctx, "pg_dump", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port.First), "-U", superuser, "-d", database)
	command.Env = append(command.Env, "PGPASSWORD="+c.password)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pg_dump: %w\n%s", err, output)
	}
	return string(output), nil
}
