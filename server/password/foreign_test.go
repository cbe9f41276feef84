package password_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/password"
)

// bcrypted is a hash as htpasswd -B makes one.
func bcrypted(t *testing.T, text string) postern.Secret {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return postern.Secret(hash)
}

func TestBcrypt(t *testing.T) {
	h := password.New(cheap())
	longest := strings.Repeat("x", 72)
	hash, long := bcrypted(t, "correct horse"), bcrypted(t, longest)
	for _, c := range []struct {
		password, hash postern.Secret
		right          bool
	}{
		{"correct horse", hash, true}, {"correct horsE", hash, false}, {"", hash, false},
		{"correct horse", "$2y$" + hash[4:], true}, // as PHP and htpasswd write it
		{"correct horse", hash[:59], false}, {"correct horse", "$2b$99" + hash[6:], false}, {"correct horse", "$2", false},
		{postern.Secret(longest), long, true}, {postern.Secret(longest + "y"), long, false},
	} {
		right, outdated, err := h.Verify(t.Context(), c.password, c.hash)
		if right != c.right || outdated != c.right || err != nil {
			t.Errorf("%q with %q: %v, %v, %v", c.password.Reveal(), c.hash.Reveal(), right, outdated, err)
		}
	}
}

func TestCheckHash(t *testing.T) {
	argon, err := password.New(cheap()).Hash(t.Context(), "long enough")
	if err != nil {
		t.Fatal(err)
	}
	hash := bcrypted(t, "x")
	for text, ok := range map[postern.Secret]bool{
		argon: true, hash: true, "": false, "plain": false, hash[:20]: false, argon[:20]: false, argon + " x": false,
		"$2a$15" + hash[6:]: false, "$2a$14" + hash[6:]: true,
		"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc":      true,
		"$argon2id$v=19$m=65537,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc":      false,
		"$argon2id$v=19$m=65536,t=6,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc":      false,
		"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc": false,
	} {
		err := password.CheckHash(text)
		if (err == nil) != ok || !ok && !postern.HasCode(err, postern.CodeFieldInvalid) {
			t.Errorf("%q: %v", text.Reveal(), err)
		}
		if err != nil && len(text) > 10 && strings.Contains(err.Error(), text.Reveal()[8:]) {
			t.Errorf("the error shows the hash: %v", err)
		}
	}
}
