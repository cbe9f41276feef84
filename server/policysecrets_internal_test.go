package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
)

// A secret is read again when it may have changed, stays good while the database does not
// answer, and is gone when it was deleted.
func TestPolicySecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, value, failure := 0, postern.Secret("one"), error(nil)
		secrets := newPolicySecrets(func(context.Context, postern.AccountID, string, string) (postern.Secret, error) {
			reads++
			return value, failure
		})
		expect := func(want string, wantReads int) {
			t.Helper()
			got, err := secrets.get(t.Context(), "ac_1", "vault", "name")
			if got.Reveal() != want || (err != nil) != (want == "") || reads != wantReads {
				t.Errorf("got %q, %v after %d reads, want %q after %d", got.Reveal(), err, reads, want, wantReads)
			}
		}
		expect("one", 1)
		value = "two"
		expect("one", 1)
		time.Sleep(secretFresh)
		expect("two", 2)
		value, failure = "", errors.New("the database is away")
		time.Sleep(time.Hour)
		expect("two", 3)
		failure = &postern.Error{Code: postern.CodeNotFound}
		expect("", 4)
		failure = errors.New("the database is away")
		expect("", 5)
		value, failure = "three", nil
		expect("three", 6)
	})
}
