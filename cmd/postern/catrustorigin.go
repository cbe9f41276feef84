package main

import (
	"crypto/x509"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/login"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/server"
)

// trustOrigin is where the CA to trust comes from.
type trustOrigin struct {
	file, server, pin string
	config, dataDir   string
}

func (o *trustOrigin) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.file, "file", "", "PEM `file` of the CA")
	flags.StringVar(&o.server, "server", "", "`URL` of a server, which shows its CA; needs --ca-pin")
	flags.StringVar(&o.pin, "ca-pin", "", "`fingerprint` of the CA, sha256:…")
	flags.StringVar(&o.config, "config", "", "configuration `FILE` of the server on this machine (POSTERN_CONFIG)")
	flags.StringVar(&o.dataDir, "data-dir", "", "data `directory` of the server on this machine (POSTERN_DATA_DIR)")
}

// named tells whether the command line says where the CA is.
func (o *trustOrigin) named() bool {
	return o.file+o.server+o.pin+o.config+o.dataDir != ""
}

// find reads the CA: several during a rotation.
func (o *trustOrigin) find(cmd *cobra.Command, streams ioStreams) ([]*x509.Certificate, error) {
	if o.file != "" && o.server != "" {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--file and --server both say where the CA is; give one")
	}
	if o.server != "" {
		ca, err := o.ofServer(cmd, streams)
		if err != nil {
			return nil, err
		}
		return []*x509.Certificate{ca}, trustable(ca, o.server)
	}
	path, err := o.path(streams)
	if err != nil {
		return nil, err
	}
	all, err := authority.ReadCertificates(path)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for _, ca := range all {
		if err := trustable(ca, path); err != nil {
			return nil, err
		}
		if o.pin == "" || samePin(o.pin, authority.Fingerprint(ca)) {
			found = append(found, ca)
		}
	}
	if len(found) == 0 {
		return nil, postern.Errorf(postern.CodeServerUntrusted, "the CA in %s has not the fingerprint of --ca-pin, but\n  %s", path, authority.Fingerprint(all[0]))
	}
	return found, nil
}

// trustable refuses what must not be in a store.
func trustable(ca *x509.Certificate, where string) error {
	switch {
	case !ca.IsCA || !ca.BasicConstraintsValid:
		return postern.Errorf(postern.CodeFlagInvalid, "%s has the certificate %q, which is not a CA's by what it says of itself; name the CA that vouches for the server", where, ca.Subject.CommonName)
	case strings.HasPrefix(ca.Subject.CommonName, "Postern untrusted CA"):
		return postern.Errorf(postern.CodeFlagInvalid, "%s has the CA for custom names, which can vouch for every name there is and is not for trusting; the server's other one is, ca.pem", where)
	}
	return nil
}

// path is the file: as given, or of the server on this machine, or of the login.
func (o *trustOrigin) path(streams ioStreams) (string, error) {
	if o.file != "" {
		return o.file, nil
	}
	given := map[string]string{}
	if o.dataDir != "" {
		given["data-dir"] = o.dataDir
	}
	config, err := server.Load(o.config, streams.Env, given)
	if err != nil {
		return "", err
	}
	path := dataDirCA(config.DataDir)
	if exists(path) {
		return path, nil
	}
	if saved := streams.caOfLogin(); saved != "" && o.config+o.dataDir == "" {
		return saved, nil
	}
	return "", postern.Errorf(postern.CodeFlagInvalid,
		"there is no CA of a server on this machine (%s), and none of a login. Say whose: --file CA.pem, --data-dir DIR, or --server URL with --ca-pin", path)
}

// ofServer asks the server.
func (o *trustOrigin) ofServer(cmd *cobra.Command, streams ioStreams) (*x509.Certificate, error) {
	var c connection
	settings, err := c.agent(streams.loginSettings(), streams)
	if err != nil {
		return nil, err
	}
	roots, err := dial.Pool("")
	if err != nil {
		return nil, err
	}
	l := login.Login{Address: o.server, Pin: o.pin, Roots: roots, Hello: settings.Hello(),
		Dialer: func(server string, roots *x509.CertPool) (*session.Dialer, error) {
			here := settings
			here.Server, here.Roots = server, roots
			return agent.NewDialer(here)
		}}
	return l.Authority(cmd.Context())
}

// terminal is where somebody can be asked; nil where nobody can.
func (s ioStreams) terminal() *os.File {
	if file, ok := s.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}
