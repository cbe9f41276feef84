package gate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/postern-dev/postern/server/seal"
)

const (
	// cookieLife is how long a sign-in is good for, whatever happens to it.
	cookieLife = 12 * time.Hour
	// cookieRenewal is how much of it must be left, or a visitor who shows a password
	// again gets another cookie.
	cookieRenewal = cookieLife / 2

	cookieVersion = 1
	cookieHead    = 1 + 8 // the version, and when it ends in seconds since 1970
	cookieSize    = cookieHead + seal.SignatureSize

	cookiePurpose = "gate cookie"

	// mostCookies bounds how many cookies of our name are looked at.
	mostCookies = 4
)

// Signer recognises what it has signed, after a restart and in other processes of the
// server, too. *seal.Keyring is one.
type Signer interface {
	Sign(purpose string, message []byte) []byte
	Signed(purpose string, message, signature []byte) bool
}

// cookieName is that of a gate's cookie. Gates of one host with different realms have
// different ones. The prefix has browsers refuse it from other hosts, and without TLS
// (RFC 6265bis §4.1.3.2).
func cookieName(scope, realm string) string {
	sum := sha256.Sum256([]byte(scope + "\n" + realm))
	return "__Host-postern-gate-" + hex.EncodeToString(sum[:4])
}

// cookie makes the line that has a browser remember the sign-in.
func (g *Gate) cookie(c *credential) string {
	head := make([]byte, cookieHead, cookieSize)
	head[0] = cookieVersion
	binary.BigEndian.PutUint64(head[1:], uint64(g.now().Add(cookieLife).Unix())) //nolint:gosec // after 1970
	value := append(head, g.signer.Sign(cookiePurpose, g.statement(head, c))...)
	// Lax: pages of other sites cannot use it, but for links to here.
	return g.cookieName + "=" + base64.RawURLEncoding.EncodeToString(value) + "; Path=/; Secure; HttpOnly; SameSite=Lax"
}

// statement is what a cookie says, and for whom.
func (g *Gate) statement(head []byte, c *credential) []byte {
	message := binary.AppendUvarint(nil, uint64(len(g.scope)))
	message = append(message, g.scope...)
	message = binary.AppendUvarint(message, uint64(len(g.realm)))
	message = append(message, g.realm...)
	message = append(message, head...)
	return append(message, c.digest[:]...)
}

// signedIn finds whose sign-in one of the cookies remembers, and for how long it does;
// nil for nobody's.
func (g *Gate) signedIn(credentials *Credentials, lines []string) (*credential, time.Duration) {
	looked := 0
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(part, "=")
			if trimSpace(name) != g.cookieName || looked == mostCookies {
				continue
			}
			looked++
			if c, left := g.readCookie(credentials, trimSpace(value)); c != nil {
				return c, left
			}
		}
	}
	return nil, 0
}

func (g *Gate) readCookie(credentials *Credentials, text string) (*credential, time.Duration) {
	if len(text) != base64.RawURLEncoding.EncodedLen(cookieSize) {
		return nil, 0
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(value) != cookieSize || value[0] != cookieVersion {
		return nil, 0
	}
	left := time.Unix(int64(binary.BigEndian.Uint64(value[1:cookieHead])), 0).Sub(g.now()) //nolint:gosec // far off is refused
	if left <= 0 || left > cookieLife {
		return nil, 0
	}
	for _, c := range credentials.all {
		if g.signer.Signed(cookiePurpose, g.statement(value[:cookieHead], c), value[cookieHead:]) {
			return c, left
		}
	}
	return nil, 0
}

// withoutCookie is a Cookie line without the pairs of a name, as the visitor would have
// sent it; same where it has none.
func withoutCookie(line, name string) (rest string, same bool) {
	if !strings.Contains(line, name) {
		return line, true
	}
	var kept []string
	removed, gap := false, false
	for part := range strings.SplitSeq(line, ";") {
		found, _, _ := strings.Cut(part, "=")
		if trimSpace(found) == name {
			removed, gap = true, len(kept) == 0
			continue
		}
		if gap { // it is the first now
			part, gap = strings.TrimLeft(part, " \t"), false
		}
		kept = append(kept, part)
	}
	if !removed {
		return line, true
	}
	return strings.Join(kept, ";"), false
}

func trimSpace(text string) string { return strings.Trim(text, " \t") }
