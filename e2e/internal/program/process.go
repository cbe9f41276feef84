package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs in a process group of its own and dies with the
// test at the latest. Its methods may be called at the same time.
type Process struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{}
	out  Transcript
}

// Start runs argv with environment added to the caller's. What it prints is kept
// for Output; with stderr not nil, its standard error goes there instead.
func Start(name string, environment []string, stderr io.Writer, argv ...string) (*Process, error) {
	command := exec.Command(argv[0], argv[1:]...)
	command.Env, command.Stderr = append(os.Environ(), environment...), stderr
	return Run(name, command)
}

// Run is Start for a command that was made ready elsewhere: its environment, standard
// input and, where it is set, standard error count.
func Run(name string, command *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: command, done: make(chan struct{})}
	command.Stdout = &p.out
	if command.Stderr == nil {
		command.Stderr = &p.out
	}
	command.SysProcAttr = ownGroup()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.reap()
	return p, nil
}

func (p *Process) reap() {
	_ = p.cmd.Wait() // Wait's news are in ProcessState
	p.out.copyTo(nil)
	close(p.done)
}

// PID is the process's number, also after its end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends sig to the process and its children. A process that is gone already
// is no error.
func (p *Process) Signal(sig syscall.Signal) { signalGroup(p.cmd.Process, sig) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited tells whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait blocks until the process has ended and returns its exit code (-1 after a
// signal), or an error when it still runs after limit.
func (p *Process) Wait(limit time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s still runs after %v", p.Name, limit)
	}
}

// Kill ends the process without warning and returns when it is gone.
func (p *Process) Kill() {
	if !p.Exited() {
		p.Signal(syscall.SIGKILL)
	}
	<-p.done
}

// Output is what the process has printed, the last MiB of it.
func (p *Process) Output() string { return p.out.String() }

// CPU is the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, err
	}
	const ticks = 100 // USER_HZ
	return time.Duration(user+system) * time.Second / ticks, nil
}

// keepLog writes all that the process prints to a file of dir, too, until it ends. An
// empty dir is none.
func (p *Process) keepLog(dir string) error {
	if dir == "" {
		return nil
	}
	kind, _, _ := strings.Cut(p.Name, " ")
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.log", kind, p.PID())))
	if err != nil {
		return err
	}
	p.out.copyTo(file)
	return nil
}

// Transcript keeps the end of what a process prints and may be read meanwhile.
type Transcript struct {
	mu   sync.Mutex
	text []byte
	file *os.File // that all goes to as well; nil is none
}

func (t *Transcript) copyTo(file *os.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		_ = t.file.Close()
	}
	if t.file = file; file != nil {
		_, _ = file.Write(t.text) // a log for people: what is missing shows
	}
}

const mostOutput = 1 << 20

func (t *Transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		_, _ = t.file.Write(p)
	}
	t.text = append(t.text, p...)
	if len(t.text) > 2*mostOutput {
		t.text = append(t.text[:0], t.text[len(t.text)-mostOutput:]...)
	}
	return len(p), nil
}

func (t *Transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// Eventually asks every 10 ms until check is content, and returns its last error
// after limit.
func Eventually(limit time.Duration, check func() error) error {
	return Poll(limit, 10*time.Millisecond, check)
}

// Poll is Eventually for checks that cost something: it asks once every so often.
func Poll(limit, every time.Duration, check func() error) error {
	deadline := time.After(limit)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-deadline:
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-tick.C:
		}
	}
}

// Described adds what a program printed to the error of its end.
func Described(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
