package server

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
)

// resealTime is for how long a rotation of the sealing key may take.
const resealTime = 6 * time.Hour

// SealingRotation is what a rotation of the sealing key has done.
type SealingRotation struct {
	Key      string   `json:"key"`      // the id of the one that seals now
	Retired  []string `json:"retired"`  // ids of those that nothing is sealed with any more
	Resealed int      `json:"resealed"` // rows

	// Continued tells that an earlier rotation was finished, and no new one begun.
	Continued bool `json:"continued"`

	// Removable are retired keys that the configuration still has.
	Removable []string `json:"removable"`
}

// RotateSealing has another key seal the secrets in the database, and seals anew all
// that is there. Where the server keeps its keys itself the new one is made here; where
// the configuration gives them it is the first of those, which the operator has put
// before the others. A rotation that was cut short is finished.
func RotateSealing(ctx context.Context, c Config, logger *slog.Logger) (SealingRotation, error) {
	return rotateSealing().do(ctx, c, logger, struct{}{})
}

// rotateSealing goes in steps of which each leaves a server that starts and reads all:
//
//  1. the new key is put into the file, before the older ones (one rename);
//  2. service.RotateSealing: the database lists the new key first, rows are sealed anew,
//     the list loses the older keys, each in transactions of its own;
//  3. the file loses the older keys (one rename).
//
// The list never names a key that the file does not have: a key is in the file before it
// is on the list, and on the list no longer when it leaves the file.
func rotateSealing() errand[struct{}, SealingRotation] {
	return errand[struct{}, SealingRotation]{path: "/keys/rotate-sealing", patience: resealTime,
		run: func(ctx context.Context, p premises, _ struct{}) (SealingRotation, error) {
			if !p.keys.TryLock() {
				return SealingRotation{}, postern.Errorf(postern.CodeConflict, "another rotation is under way")
			}
			defer p.keys.Unlock()
			keys := sealingKeys{dir: p.dir, config: p.config.Sealing}
			continued, err := p.beginSealing(ctx, keys)
			if err != nil {
				return SealingRotation{}, err
			}
			done, err := p.service.RotateSealing(ctx)
			if err != nil {
				return SealingRotation{}, err
			}
			before, err := keys.own()
			if err != nil {
				return SealingRotation{}, err
			}
			after := slices.DeleteFunc(slices.Clone(before), func(k seal.Key) bool { return k.ID() != done.Key })
			if err := keys.write(after); err != nil {
				return SealingRotation{}, err
			}
			if err := p.sealing.Reload(); err != nil {
				return SealingRotation{}, err
			}
			return report(done, continued, before, p.sealing), nil
		}}
}

// beginSealing sees that the ring's first key is the one to seal with, and tells whether
// it was so before, by a rotation that was cut short or by the configuration.
func (p premises) beginSealing(ctx context.Context, keys sealingKeys) (continued bool, err error) {
	listed, err := service.SealingKeys(ctx, p.store)
	if err != nil {
		return false, err
	}
	all, err := keys.all()
	if err != nil {
		return false, err
	}
	own, err := keys.own()
	if err != nil {
		return false, err
	}
	left := slices.ContainsFunc(own, func(k seal.Key) bool { return !slices.Contains(listed, k.ID()) })
	if len(listed) != 1 || all[0].ID() != listed[0] || left {
		return true, p.sealing.Reload()
	}
	if keys.config.configured() {
		return false, postern.Errorf(postern.CodeConfigInvalid,
			"the sealing keys come from the configuration, whose first key %s is in use; put a new one before it, in sealing.key or sealing.key_file, restart the server and run this again", listed[0])
	}
	if err := keys.write(append([]seal.Key{seal.NewKey()}, own...)); err != nil {
		return false, err
	}
	return false, p.sealing.Reload()
}

// report is what an operator is told.
func report(done service.SealingRotation, continued bool, before []seal.Key, ring *seal.Keyring) SealingRotation {
	r := SealingRotation{Key: done.Key.String(), Resealed: done.Resealed, Continued: continued, Retired: []string{}, Removable: []string{}}
	retired := slices.Clone(done.Retired)
	for _, key := range before {
		if key.ID() != done.Key && !slices.Contains(retired, key.ID()) {
			retired = append(retired, key.ID()) // struck off the list before
		}
	}
	for _, id := range ring.Keys() {
		if id != done.Key {
			r.Removable = append(r.Removable, id.String())
		}
	}
	for _, id := range retired {
		r.Retired = append(r.Retired, id.String())
	}
	return r
}
