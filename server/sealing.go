package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// sealingName is the file of a data directory that has the sealing keys, where the
// configuration gives none.
const sealingName = "sealing.keys"

// maxSealingFile bounds what is read as a file of keys.
const maxSealingFile = 64 << 10

// Sealing says where the keys are that seal secrets in the database. Without both the
// server keeps them in the data directory.
type Sealing struct {
	Keys    []seal.Key // the first of all seals
	KeyFile string     // further ones
}

// configured tells whether the operator keeps the keys.
func (s Sealing) configured() bool { return len(s.Keys) > 0 || s.KeyFile != "" }

// places are the keys of the configuration that give sealing keys.
func (s Sealing) places() (keys []string) {
	if len(s.Keys) > 0 {
		keys = append(keys, "sealing.key")
	}
	if s.KeyFile != "" {
		keys = append(keys, "sealing.key_file")
	}
	return keys
}

func sealingSettings() []Setting {
	keys := sequence("sealing.key", "BASE64", "Keys that seal secrets in the database, of 32 bytes in base64; the first seals, all open. Give them in the file or as POSTERN_SEALING_KEY, for flags can be seen by everybody on the machine. Without this key and sealing.key_file the server keeps its own in data_dir.",
		func(c *Config) *[]seal.Key { return &c.Sealing.Keys }, parseSealingKey, func(k seal.Key) string { return k.ID().String() })
	keys.same = func(a, b Config) bool { return slices.Equal(a.Sealing.Keys, b.Sealing.Keys) }
	return []Setting{
		keys,
		scalar("sealing.key_file", "FILE", "A file with such keys, one a line, that only the server's user may read; those of sealing.key come before them.",
			func(c *Config) *string { return &c.Sealing.KeyFile }, anyText, plain),
	}
}

// parseSealingKey never quotes what it was given.
func parseSealingKey(text string) (seal.Key, error) {
	key, err := seal.ParseKey(text)
	if err != nil {
		return seal.Key{}, errors.New(postern.AsError(err).Text())
	}
	return key, nil
}

// sealingKeys are where a server's sealing keys come from.
type sealingKeys struct {
	dir    *dataDir
	config Sealing
}

// openSealing gives the keyring: the configuration's keys and those of the data
// directory, where a key is made when there is none at all and nothing is sealed yet.
func openSealing(ctx context.Context, dir *dataDir, c Config, database store.Store) (*seal.Keyring, error) {
	keys := sealingKeys{dir: dir, config: c.Sealing}
	if own, err := keys.own(); err != nil {
		return nil, err
	} else if len(own) == 0 && !c.Sealing.configured() {
		if err := keys.makeFirst(ctx, database); err != nil {
			return nil, err
		}
	}
	return seal.Open(keys.all)
}

// makeFirst makes the key of a new installation. Where rows are sealed already another
// key could not open them, so it is refused.
func (k sealingKeys) makeFirst(ctx context.Context, database store.Store) error {
	ids, err := service.SealingKeys(ctx, database)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		return postern.Errorf(postern.CodeSealingKeyMissing,
			"the secrets in the database are sealed with the key %s, which is in no %s and not in the configuration", ids[0], k.path())
	}
	return k.write([]seal.Key{seal.NewKey()})
}

// all are those of the configuration and of the directory, each once.
func (k sealingKeys) all() ([]seal.Key, error) {
	keys := slices.Clone(k.config.Keys)
	if k.config.KeyFile != "" {
		more, err := readSealingKeys(k.config.KeyFile)
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	own, err := k.own()
	if err != nil {
		return nil, err
	}
	return distinct(append(keys, own...)), nil
}

// distinct keeps the first of each key: one that has moved from the directory into the
// configuration is in both for a while.
func distinct(keys []seal.Key) []seal.Key {
	var once []seal.Key
	for _, key := range keys {
		if !slices.ContainsFunc(once, func(k seal.Key) bool { return k.ID() == key.ID() }) {
			once = append(once, key)
		}
	}
	return once
}

// own are those of the data directory, none where it has no file.
func (k sealingKeys) own() ([]seal.Key, error) {
	keys, err := readSealingKeys(k.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

func (k sealingKeys) path() string { return k.dir.file(sealingName) }

// write puts the directory's keys in place at once; without any the file goes.
func (k sealingKeys) write(keys []seal.Key) error {
	var err error
	if len(keys) == 0 {
		if err = os.Remove(k.path()); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		err = errors.Join(err, disk.Sync(k.dir.path))
	} else {
		err = disk.Replace(k.path(), seal.FormatKeys(keys), 0o600)
	}
	if err != nil {
		return unusable(k.dir.path, err)
	}
	return nil
}

// readSealingKeys reads a file that must be its owner's alone.
func readSealingKeys(path string) ([]seal.Key, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the sealing keys %s cannot be read: %v", path, reason(err)).Because(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSealingFile+1))
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the sealing keys %s cannot be read: %v", path, reason(err)).Because(err)
	}
	keys, err := seal.ParseKeys(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s: %s", path, strings.TrimSuffix(postern.AsError(err).Text(), "."))
	}
	return keys, checkMode(path)
}
