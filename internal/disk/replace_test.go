//go:build unix

package disk_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/postern-dev/postern/internal/disk"
)

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func write(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// Whoever may write to a directory, /tmp say, does not choose what is overwritten.
func TestReplaceDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	victim, link := filepath.Join(dir, "victim"), filepath.Join(dir, "link")
	write(t, victim, 0o644)
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := disk.Replace(link, []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	if content(t, victim) != "old" || content(t, link) != "new" || mode(t, link) != 0o640 {
		t.Errorf("the victim holds %q, the link %q with mode %o", content(t, victim), content(t, link), mode(t, link))
	}
}

// /dev/null and /dev/stdout stay what they are, also for root.
func TestWhatIsNoFileStays(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, dir} {
		if err := disk.Replace(path, []byte("new"), 0o600); err == nil {
			t.Errorf("Replace of %s worked", path)
		}
		if err := disk.Update(path, []byte("new"), 0); err == nil {
			t.Errorf("Update of %s worked", path)
		}
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", info, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	file, link, fresh := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "a", "b", "fresh")
	write(t, file, 0o664)
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(file, 12345, 12346); err != nil {
			t.Fatal(err)
		}
	}
	if err := disk.Update(link, []byte("new"), 0o007); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 || content(t, file) != "new" || mode(t, file) != 0o660 {
		t.Errorf("%v %v, %q, mode %o", info.Mode(), err, content(t, file), mode(t, file))
	}
	if owner := infoOf(t, file); os.Getuid() == 0 && (owner.Uid != 12345 || owner.Gid != 12346) {
		t.Errorf("the file belongs to %d:%d now", owner.Uid, owner.Gid)
	}
	if err := disk.Update(fresh, []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if mode(t, fresh) != 0o600 || mode(t, filepath.Dir(fresh)) != 0o700 {
		t.Errorf("a new file has mode %o in %o", mode(t, fresh), mode(t, filepath.Dir(fresh)))
	}
	if err := disk.Replace(filepath.Join(dir, "nosuch", "file"), nil, 0o600); err == nil {
		t.Error("Replace made a directory")
	}
}

func infoOf(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}
