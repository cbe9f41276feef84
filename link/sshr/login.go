package sshr

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// login is one client's way in.
type login struct {
	server *Server
	ctx    context.Context //nolint:containedctx // of the connection: callbacks of x/crypto/ssh have none
	conn   *guard
	from   netip.Addr

	unknown []byte // a key that was not known; nil for none
}

// provenKey is where a callback leaves who the client is; only what the library returns
// as the permissions of the method that succeeded is believed.
type provenKey struct{}

func (l *login) config() *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		ServerVersion: serverVersion,
		MaxAuthTries:  authTries,
		PublicKeyAuthAlgorithms: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
			ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
		},
		PublicKeyCallback: l.key,
		PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return l.token(string(password))
		},
		KeyboardInteractiveCallback: l.ask,
	}
	begun := sync.OnceFunc(func() { _ = l.conn.SetDeadline(time.Now().Add(loginTime)) })
	for _, key := range l.server.config.HostKeys() {
		config.AddHostKey(&exchangeSigner{Signer: key, login: l, begun: begun})
	}
	return config
}

// exchangeSigner signs a key exchange when it is its turn: thousands of clients that come
// back together must not take the CPU from visitors. From the first one on the client
// has time for the person in front of it.
type exchangeSigner struct {
	ssh.Signer
	login *login
	begun func()
}

// Sign implements ssh.Signer.
func (s *exchangeSigner) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	return s.inTurn(func() (*ssh.Signature, error) { return s.Signer.Sign(random, data) })
}

// SignWithAlgorithm implements ssh.AlgorithmSigner.
func (s *exchangeSigner) SignWithAlgorithm(random io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signer, ok := s.Signer.(ssh.AlgorithmSigner)
	if !ok {
		return s.Sign(random, data)
	}
	return s.inTurn(func() (*ssh.Signature, error) { return signer.SignWithAlgorithm(random, data, algorithm) })
}

func (s *exchangeSigner) inTurn(sign func() (*ssh.Signature, error)) (*ssh.Signature, error) {
	select {
	case s.login.server.exchanges <- struct{}{}:
	case <-s.login.ctx.Done():
		return nil, s.login.ctx.Err()
	}
	defer func() { <-s.login.server.exchanges }()
	s.begun()
	return sign()
}

// key answers whether a key would do; the library then wants a proof of it. Certificates
// are keys of nobody's.
func (l *login) key(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	hello := link.Hello{SSHKey: key.Marshal()}
	err := l.knows(hello)
	if postern.HasCode(err, postern.CodeSSHKeyUnknown) {
		l.unknown = hello.SSHKey
		return nil, err // no word about it: the next one may do
	}
	return permissions(hello), told(err)
}

func (l *login) token(text string) (*ssh.Permissions, error) {
	hello := link.Hello{Token: postern.Secret(strings.TrimSpace(text))}
	err := l.knows(hello)
	return permissions(hello), told(err)
}

// ask is how a person without a key is told what is needed.
func (l *login) ask(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := challenge("", "No key of yours is known to this server. Add one to your account, or log in with an authtoken.",
		[]string{"Authtoken: "}, []bool{false})
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 {
		return nil, errors.New("one answer was asked for")
	}
	return l.token(answers[0])
}

func (l *login) knows(hello link.Hello) error {
	ctx, cancel := context.WithTimeout(l.ctx, l.server.config.GreetTime)
	defer cancel()
	return l.server.config.Gatekeeper.Knows(ctx, l.from, hello)
}

// told has the client show why it is not let in, where it is worth a word.
func told(err error) error {
	if err == nil {
		return nil
	}
	return &ssh.BannerError{Err: err, Message: strings.Join(problemLines(postern.AsError(err)), "\n") + "\n"}
}

func permissions(hello link.Hello) *ssh.Permissions {
	return &ssh.Permissions{ExtraData: map[any]any{provenKey{}: hello}}
}

// hello is who the client has proven to be.
func (l *login) hello(p *ssh.Permissions) link.Hello {
	if p == nil {
		return link.Hello{}
	}
	hello, _ := p.ExtraData[provenKey{}].(link.Hello)
	return hello
}

// failed is what became of a client that did not log in.
func (l *login) failed(err error) error {
	if l.unknown != nil {
		l.server.config.Gatekeeper.KeysRefused(l.ctx, l.from, l.unknown)
		return postern.Errorf(postern.CodeSSHKeyUnknown, "the SSH client did not log in").Because(err)
	}
	return postern.Errorf(postern.CodeLinkLost, "the SSH client did not log in").Because(err)
}
