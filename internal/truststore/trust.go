package truststore

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"slices"
	"strings"
)

// State is what became of a certificate in a store.
type State string

// The states.
const (
	Added        State = "added"
	AlreadyThere State = "already there"
	Removed      State = "removed"
	NotThere     State = "not there"
	WouldAdd     State = "would be added"
	WouldRemove  State = "would be removed"
	Failed       State = "failed"
)

// Outcome is what was done with one store.
type Outcome struct {
	Store    string
	State    State
	Err      error    // of Failed; it says what to do
	Commands []string // of a dry run: what would be run
}

// Change is Trust or Untrust.
type Change func(context.Context, *x509.Certificate, Scope, bool) []Outcome

// Trust puts a certificate into all stores of the scope. With dry nothing is changed.
func (m Machine) Trust(ctx context.Context, c *x509.Certificate, scope Scope, dry bool) []Outcome {
	outcomes := m.each(scope, func(s store) Outcome {
		there, err := s.has(ctx, c)
		switch {
		case err != nil:
			return Outcome{State: Failed, Err: err}
		case there:
			return Outcome{State: AlreadyThere}
		case dry:
			return Outcome{State: WouldAdd, Commands: s.plan(c, false)}
		}
		if err := s.add(ctx, c); err != nil {
			return Outcome{State: Failed, Err: err}
		}
		return Outcome{State: Added}
	})
	if slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.State == Added }) {
		if err := m.record(c); err != nil {
			outcomes = append(outcomes, Outcome{Store: "the record for untrust", State: Failed, Err: err})
		}
	}
	return outcomes
}

// Untrust takes a certificate that Trust has put there out of all stores of the scope.
func (m Machine) Untrust(ctx context.Context, c *x509.Certificate, scope Scope, dry bool) []Outcome {
	outcomes := m.each(scope, func(s store) Outcome {
		there, err := s.has(ctx, c)
		switch {
		case err != nil:
			return Outcome{State: Failed, Err: err}
		case !there:
			return Outcome{State: NotThere}
		case dry:
			return Outcome{State: WouldRemove, Commands: s.plan(c, true)}
		}
		if err := s.remove(ctx, c); err != nil {
			return Outcome{State: Failed, Err: err}
		}
		return Outcome{State: Removed}
	})
	if !dry && !m.somewhere(ctx, c) {
		if err := m.forget(c); err != nil {
			outcomes = append(outcomes, Outcome{Store: "the record for untrust", State: Failed, Err: err})
		}
	}
	return outcomes
}

// somewhere tells whether a store has the certificate, or may have it.
func (m Machine) somewhere(ctx context.Context, c *x509.Certificate) bool {
	return slices.ContainsFunc(m.stores(All), func(s store) bool {
		there, err := s.has(ctx, c)
		return there || err != nil
	})
}

func (m Machine) each(scope Scope, do func(store) Outcome) []Outcome {
	var all []Outcome
	for _, s := range m.stores(scope) {
		o := do(s)
		o.Store = s.name()
		all = append(all, o)
	}
	return all
}

// Nickname is how a certificate is called in stores: its fingerprint is in it.
func Nickname(c *x509.Certificate) string { return "Postern CA " + short(c) }

// short is what of a fingerprint is in names: enough for nobody to make another.
func short(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:16])
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// holds tells whether PEM text has the certificate.
func holds(text []byte, c *x509.Certificate) bool {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return false
		}
		if string(block.Bytes) == string(c.Raw) {
			return true
		}
		text = rest
	}
}

// withFile has a program read the certificate from a file.
func withFile(c *x509.Certificate, do func(path string) error) error {
	file, err := os.CreateTemp("", "postern-ca-*.crt")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(encode(c))
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return do(file.Name())
}

// lines joins what people are told to run.
func lines(commands ...Command) []string {
	texts := make([]string, len(commands))
	for i, c := range commands {
		texts[i] = c.String()
	}
	return texts
}

func joined(commands []string) string { return strings.Join(commands, " && ") }
