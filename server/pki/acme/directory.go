package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	acmewire "github.com/mholt/acmez/v3/acme"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

const (
	rsaBits = 4096
	// requestTime bounds one request to an authority: acmez holds a lock meanwhile.
	requestTime = 30 * time.Second
	pollTime    = 5 * time.Minute
)

// DirectoryConfig says how to deal with a directory. URL, Accounts, Challenges and Logger
// are required.
type DirectoryConfig struct {
	URL   string
	Email string // "": none
	// EAB is the external account that ours is bound to (RFC 8555 §7.3.4), where the
	// directory demands one.
	EAB EAB
	// Roots are trusted in place of the system's when the directory is asked; nil: the
	// system's.
	Roots      *x509.CertPool
	Accounts   Accounts
	Challenges *Challenges
	UserAgent  string
	Logger     *slog.Logger
}

// EAB is an external account's key.
type EAB struct {
	KeyID  string
	MACKey postern.Secret // base64url
}

// Account is the server's account with a directory.
type Account struct {
	Location string // URL; "": the directory has given it none yet
	Key      []byte // PKCS #8
}

// AccountName says which account is meant.
type AccountName struct{ Directory, Email, EABKeyID string }

// Accounts keeps accounts.
type Accounts interface {
	// Account returns one. Where there is none it stores what fresh makes; of several at
	// the same time the first wins.
	Account(ctx context.Context, name AccountName, fresh func() (Account, error)) (Account, error)
	// Located stores the account's URL.
	Located(ctx context.Context, name AccountName, location string) error
}

// Directory is an authority with an ACME directory (RFC 8555). Its methods may be called
// from anywhere.
type Directory struct {
	config DirectoryConfig
	client *acmez.Client

	mu      sync.Mutex // held while the account is looked for or registered
	account *acmewire.Account
}

// NewDirectory asks nobody anything yet.
func NewDirectory(c DirectoryConfig) *Directory {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSClientConfig:       &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   requestTime,
		ResponseHeaderTimeout: requestTime,
		IdleConnTimeout:       time.Minute,
	}
	return &Directory{config: c, client: &acmez.Client{Client: &acmewire.Client{
		Directory: c.URL, UserAgent: c.UserAgent, PollTimeout: pollTime,
		HTTPClient: &http.Client{Transport: &listening{transport}, Timeout: requestTime},
	}}}
}

// Close ends connections that are kept.
func (d *Directory) Close() { d.client.HTTPClient.CloseIdleConnections() }

// URL implements Authority.
func (d *Directory) URL() string { return d.config.URL }

// Obtain implements Authority.
func (d *Directory) Obtain(ctx context.Context, r Request) (Issued, error) {
	ctx, heard := listen(ctx)
	account, err := d.useAccount(ctx)
	if err != nil {
		return Issued{}, explain(err, d.config.URL, r.Proof, heard)
	}
	var key crypto.Signer
	if r.CSR == nil {
		if key, err = newKey(r.KeyType); err != nil {
			return Issued{}, err
		}
	}
	issued, err := d.order(ctx, account, r, key)
	if problem, ok := errors.AsType[acmewire.Problem](err); ok && problem.Type == acmewire.ProblemTypeAccountDoesNotExist {
		// The directory has forgotten us, as one in a laboratory does. Our key is good for
		// another account.
		if account, err = d.register(ctx, *account); err == nil {
			issued, err = d.order(ctx, account, r, key)
		}
	}
	if err != nil {
		return Issued{}, explain(err, d.config.URL, r.Proof, heard)
	}
	return issued, nil
}

func (d *Directory) order(ctx context.Context, account *acmewire.Account, r Request, key crypto.Signer) (Issued, error) {
	names := make([]string, len(r.Names))
	for i, name := range r.Names {
		names[i] = string(name)
	}
	csr, err := r.CSR, error(nil)
	if csr == nil {
		if csr, err = acmez.NewCSR(key, names); err != nil {
			return Issued{}, err
		}
	}
	order, err := acmez.OrderParametersFromCSR(*account, csr)
	if err != nil {
		return Issued{}, err
	}
	order.Replaces = r.Replaces
	client := &acmez.Client{Client: d.client.Client, ChallengeSolvers: map[string]acmez.Solver{string(r.Proof.Kind): newSolver(r.Proof, d.config.Challenges)}}
	chains, err := client.ObtainCertificate(ctx, order)
	if err != nil {
		return Issued{}, err
	}
	if len(chains) == 0 {
		return Issued{}, errors.New("the authority offers no certificate chain")
	}
	leaf, err := checkChain(chains[0].ChainPEM, r.Names, csr.PublicKey)
	if err != nil {
		return Issued{}, fmt.Errorf("the authority's certificate cannot be used: %w", err)
	}
	return Issued{Directory: d.config.URL, Chain: chains[0].ChainPEM, Leaf: leaf, Key: key}, nil
}

// checkChain sees that what an authority has sent is what was asked for.
func checkChain(chain []byte, names []postern.Hostname, key crypto.PublicKey) (*x509.Certificate, error) {
	parsed, err := uploaded.Chain(string(chain))
	if err != nil {
		return nil, err
	}
	if own, comparable := key.(interface{ Equal(crypto.PublicKey) bool }); !comparable || !own.Equal(parsed[0].PublicKey) {
		return nil, errors.New("it is for another key")
	}
	for _, name := range names {
		text := string(name)
		if name.Wildcard() {
			text = "any." + string(name.Parent())
		}
		if err := parsed[0].VerifyHostname(text); err != nil {
			return nil, err
		}
	}
	return parsed[0], nil
}

// Renewal implements Authority.
func (d *Directory) Renewal(ctx context.Context, leaf *x509.Certificate) (Window, error) {
	info, err := d.client.GetRenewalInfo(ctx, leaf)
	if errors.Is(err, acmewire.ErrUnsupported) {
		return Window{}, nil
	}
	if err != nil {
		return Window{}, err
	}
	window := Window{Start: info.SuggestedWindow.Start, End: info.SuggestedWindow.End}
	if info.RetryAfter != nil {
		window.AskAfter = *info.RetryAfter
	}
	return window, nil
}

// useAccount gives our account, and registers it the first time.
func (d *Directory) useAccount(ctx context.Context) (*acmewire.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.account != nil {
		return d.account, nil
	}
	known, err := d.config.Accounts.Account(ctx, d.name(), newAccount)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(known.Key)
	if err != nil {
		return nil, fmt.Errorf("the stored key of the account: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the stored key of the account signs nothing: %T", parsed)
	}
	account := acmewire.Account{Status: acmewire.StatusValid, Location: known.Location, PrivateKey: key}
	if account.Location != "" {
		d.account = &account
		return d.account, nil
	}
	return d.registerLocked(ctx, account)
}

func (d *Directory) name() AccountName {
	return AccountName{Directory: d.config.URL, Email: d.config.Email, EABKeyID: d.config.EAB.KeyID}
}

func (d *Directory) register(ctx context.Context, account acmewire.Account) (*acmewire.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.account != nil && d.account.Location != account.Location {
		return d.account, nil // somebody else was first
	}
	account.Location = ""
	return d.registerLocked(ctx, account)
}

// registerLocked makes an account of a key. A directory that has one for the key gives
// that.
func (d *Directory) registerLocked(ctx context.Context, account acmewire.Account) (*acmewire.Account, error) {
	account.TermsOfServiceAgreed, account.Status = true, ""
	if d.config.Email != "" {
		account.Contact = []string{"mailto:" + d.config.Email}
	}
	directory, err := d.client.GetDirectory(ctx)
	if err != nil {
		return nil, err
	}
	if directory.Meta != nil && directory.Meta.ExternalAccountRequired {
		if d.config.EAB.KeyID == "" {
			return nil, failed(postern.CodeAuthorityAccount, "%s takes accounts only that are bound to one of its own; the server's operator has to set tls.eab.key_id and tls.eab.mac_key to what it gives", nameOf(d.config.URL))
		}
		binding := acmewire.EAB{KeyID: d.config.EAB.KeyID, MACKey: d.config.EAB.MACKey.Reveal()}
		if err := account.SetExternalAccountBinding(ctx, d.client.Client, binding); err != nil {
			return nil, failed(postern.CodeAuthorityAccount, "tls.eab.mac_key is no key in base64url")
		}
	}
	account, err = d.client.NewAccount(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("registering an account: %w", err)
	}
	if err := d.config.Accounts.Located(ctx, d.name(), account.Location); err != nil {
		return nil, err
	}
	d.account = &account
	d.config.Logger.InfoContext(ctx, "an account with a certificate authority was registered", "directory", d.config.URL, "account", account.Location)
	return d.account, nil
}

func newAccount() (Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Account{}, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	return Account{Key: encoded}, err
}

func newKey(kind string) (crypto.Signer, error) {
	if kind == RSA {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}
