package sshr_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

// The client's second key is good: it is asked about both, and is who has the second.
func TestTheNextKeyMayBeGood(t *testing.T) {
	bad, good := newKey(t), newKey(t)
	g := newGate(good)
	c := connectAs(t, g, ssh.PublicKeys(bad, good))
	a := c.admitted(g)
	if !bytes.Equal(a.Hello.SSHKey, good.PublicKey().Marshal()) {
		t.Error("the session is not that of the good key")
	}
	if _, refused := g.counts(); refused != 0 {
		t.Errorf("%d clients count as refused", refused)
	}
}

// Who shows a public key without having it is not let in, also with another good key.
func TestKeyThatIsOnlyShown(t *testing.T) {
	victim, own := newKey(t), newKey(t)
	g := newGate(victim, own)
	shown := ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return []ssh.Signer{thief{victim, own}}, nil })
	conn, served := serve(t, g)
	if _, _, _, err := ssh.NewClientConn(conn, "server", clientConfig(shown)); err == nil {
		t.Error("a key that was only shown is taken for proven")
	}
	_ = conn.Close()
	if err := <-served; err == nil {
		t.Error("Serve has no reason")
	}
}

// thief shows a public key and signs with another.
type thief struct{ shown, own ssh.Signer }

func (s thief) PublicKey() ssh.PublicKey { return s.shown.PublicKey() }

func (s thief) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	return s.own.Sign(random, data)
}

// An authtoken is a password, and an answer to the question for it.
func TestTokens(t *testing.T) {
	challenge := func(answer string) ssh.AuthMethod {
		return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = answer
			}
			return answers, nil
		})
	}
	for name, auth := range map[string]ssh.AuthMethod{"password": ssh.Password(token + "\n"), "question": challenge(token)} {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			c := connectAs(t, g, auth)
			if a := c.admitted(g); a.Hello.SSHKey != nil || a.Hello.Token != token {
				t.Errorf("admitted was %+v", a.Hello)
			}
		})
	}
	for name, auth := range map[string]ssh.AuthMethod{
		"wrong password": ssh.Password("no"), "wrong answer": challenge("no"), "nobody's key": ssh.PublicKeys(newKey(t)),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			conn, served := serve(t, g)
			if _, _, _, err := ssh.NewClientConn(conn, "server", clientConfig(auth)); err == nil {
				t.Error("the client was let in")
			}
			_ = conn.Close()
			if err := <-served; err == nil {
				t.Error("Serve has no reason")
			}
			if _, refused := g.counts(); (refused == 1) != (name == "nobody's key") {
				t.Errorf("%d clients count as refused", refused)
			}
		})
	}
}

// A certificate is nobody's key, whoever has signed it: not even with the key of somebody
// who is known.
func TestCertificatesAreNotKeys(t *testing.T) {
	key, authority := newKey(t), newKey(t)
	g := newGate(key, authority)
	certificate := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"anybody"}, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(bytes.NewReader(make([]byte, 1<<10)), authority); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	conn, served := serve(t, g)
	if _, _, _, err := ssh.NewClientConn(conn, "server", clientConfig(ssh.PublicKeys(signer))); err == nil {
		t.Error("a certificate was let in")
	}
	_ = conn.Close()
	<-served
}

// Strangers have little time for the key exchange, then a person's time to answer, and a
// budget of bytes; the number of their attempts is bounded.
func TestStrangersAreBounded(t *testing.T) {
	limits := map[string]struct {
		do    func(net.Conn)
		least time.Duration
		most  time.Duration
	}{
		"silent":              {func(net.Conn) {}, 10 * time.Second, 10 * time.Second},
		"only a version":      {func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n")) }, 10 * time.Second, 10 * time.Second},
		"no version's end":    {func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte("x"), 64<<10)) }, 0, 10 * time.Second},
		"lines without end":   {func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte("x\r\n"), 64<<10)) }, 0, 10 * time.Second},
		"a packet of 4 GiB":   {func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n\xff\xff\xff\xff\x04\x14")) }, 0, 0},
		"not the protocol":    {func(c net.Conn) { _, _ = c.Write([]byte("SSH-1.5-x\r\n")) }, 0, 10 * time.Second},
		"garbage for packets": {func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n\x00\x00\x00\x0c\x0aabcdefghijk")) }, 0, 0},
	}
	for name, limit := range limits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, served := serve(t, newGate())
				began := time.Now()
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				go limit.do(conn)
				if err := <-served; err == nil {
					t.Error("Serve has no reason")
				}
				if took := time.Since(began); took < limit.least || took > limit.most {
					t.Errorf("ended after %v, want %v to %v", took, limit.least, limit.most)
				}
				_ = conn.Close()
			})
		})
	}
}

// A person has two minutes to type a token, from the key exchange on.
func TestAPersonHasTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, served := serve(t, newGate())
		thinking := make(chan struct{})
		slow := ssh.PasswordCallback(func() (string, error) { <-thinking; return "", errors.New("too late") })
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _, _, _ = ssh.NewClientConn(conn, "server", clientConfig(slow))
		}()
		began := time.Now()
		<-served
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("the server waited for %v", took)
		}
		close(thinking)
		<-ended
	})
}

// A client may offer so many keys and no more, and each is asked about once.
func TestManyKeys(t *testing.T) {
	var keys []ssh.Signer
	for range 40 {
		keys = append(keys, newKey(t))
	}
	g := newGate()
	conn, served := serve(t, g)
	if _, _, _, err := ssh.NewClientConn(conn, "server", clientConfig(ssh.PublicKeys(keys...))); err == nil {
		t.Error("the client was let in")
	}
	_ = conn.Close()
	if err := <-served; !postern.HasCode(err, postern.CodeSSHKeyUnknown) {
		t.Errorf("Serve gave %v", err)
	}
	if offered, refused := g.counts(); offered > 12 || refused != 1 {
		t.Errorf("%d keys were looked up, %d clients count as refused", offered, refused)
	}
}
