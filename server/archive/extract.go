package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// Extract reads an archive, as Read does, into a directory that is empty and that
// nobody else writes to. Files get mode 0600 and directories 0700, and are on the disk
// when it returns. After an error the directory holds a part that is of no use.
func Extract(ctx context.Context, r io.Reader, dir string, limits Limits, accept func(Manifest) error) (Manifest, error) {
	root, err := os.OpenRoot(dir) // which no name leaves, whatever checkName missed
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	return Read(ctx, r, limits, accept, func(file File, body io.Reader) error {
		return extractFile(root, file, body)
	})
}

func extractFile(root *os.Root, file File, body io.Reader) error {
	name := filepath.FromSlash(file.Name)
	if parent := path.Dir(file.Name); parent != "." {
		if err := root.MkdirAll(filepath.FromSlash(parent), 0o700); err != nil {
			return err
		}
	}
	made, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(made, body); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file.Name, err), made.Close())
	}
	return errors.Join(made.Sync(), made.Close())
}
