package main

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/login"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/dial"
)

// loginCommand writes down once which server the agent dials, who vouches for it, and
// the token.
type loginCommand struct {
	streams ioStreams
	connection
	pin, ca, token string
}

func newLoginCommand(streams ioStreams) *cobra.Command {
	c := &loginCommand{streams: streams}
	command := &cobra.Command{
		Use:   "login URL --token TOKEN",
		Short: "Save which server to use, and the authtoken for it",
		Long: `Save which server to use, and the authtoken for it, after both were tried. Where
nobody whom this system trusts vouches for the server's certificate, as with a server
of your own, say who it is: --ca-pin with the fingerprint that the server's operator
has, or --ca with its CA file. Otherwise the fingerprint is printed and nothing sent.`,
		Example: `  postern login https://example.com --token TOKEN
  postern login example.com --token TOKEN --ca-pin sha256:0123…
  postern login example.com --token - --ca ca.pem < token.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	flags := command.Flags()
	flags.StringVar(&c.token, "token", "", "the authtoken; - reads it from stdin (env POSTERN_AUTHTOKEN)")
	flags.StringVar(&c.connection.token, "authtoken", "", "the same")
	flags.StringVar(&c.pin, "ca-pin", "", "`fingerprint` of the server's CA or certificate, sha256:…")
	flags.StringVar(&c.ca, "ca", "", "PEM `file` of the server's CA")
	flags.StringVar(&c.proxy, "proxy-url", "", "`URL` of the proxy to the server")
	flags.StringVar(&c.transport, "transport", "", "how to reach the server: auto, tls or websocket")
	flags.StringArrayVar(&c.configFiles, "config", nil, "the configuration `file` to save in (default: the one in your home directory)")
	hide(flags, "authtoken")
	return command
}

func (c *loginCommand) run(cmd *cobra.Command, address string) error {
	path, err := c.streams.savePath(c.configFiles)
	if err != nil {
		return err
	}
	token, err := c.readToken()
	if err != nil {
		return err
	}
	ca, roots, err := c.roots()
	if err != nil {
		return err
	}
	settings, err := c.agent(config.Config{
		Authtoken: token, Proxy: postern.Secret(firstOf(c.proxy, c.streams.Env("POSTERN_PROXY_URL"))), Transport: firstOf(c.transport, c.streams.Env("POSTERN_TRANSPORT")),
	}, c.streams)
	if err != nil {
		return err
	}
	l := login.Login{Address: address, Pin: c.pin, Roots: roots, Hello: settings.Hello(),
		Dialer: func(server string, roots *x509.CertPool) (*session.Dialer, error) {
			here := settings
			here.Server, here.Roots = server, roots
			return agent.NewDialer(here)
		}}
	server, err := l.Run(cmd.Context())
	if err != nil {
		return err
	}
	if server.CA == nil {
		server.CA = ca
	}
	return c.save(path, server, token)
}

// readToken takes the token from the flag, stdin or the environment.
func (c *loginCommand) readToken() (postern.Secret, error) {
	token := firstOf(c.token, c.connection.token, c.streams.Env("POSTERN_AUTHTOKEN"), c.streams.Env("NGROK_AUTHTOKEN"))
	if token == "-" {
		line, err := bufio.NewReader(io.LimitReader(c.streams.In, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", postern.Errorf(postern.CodeNoToken, "the token cannot be read from stdin: %v", err)
		}
		token = strings.TrimSpace(line)
	}
	if token == "" {
		return "", &postern.Error{Code: postern.CodeNoToken}
	}
	return postern.Secret(token), nil
}

// roots are who may vouch for the server before anything is known of it: this system,
// or whom --ca names.
func (c *loginCommand) roots() (ca []byte, roots *x509.CertPool, err error) {
	if c.ca == "" {
		roots, err = dial.Pool("")
		return nil, roots, err
	}
	if ca, err = config.ReadCAs(c.ca); err != nil {
		return nil, nil, err
	}
	roots, err = dial.Pool(c.ca)
	return ca, roots, err
}

// save keeps the CA first: a configuration that is saved works.
func (c *loginCommand) save(path string, server login.Server, token postern.Secret) error {
	caFile := login.CAFile(path)
	if server.CA != nil {
		if err := config.WriteFile(caFile, server.CA); err != nil {
			return err
		}
	} else if err := os.Remove(caFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return postern.Errorf(postern.CodeFileUnreadable, "the CA of an earlier login, %s, cannot be removed: %v", caFile, err)
	}
	err := config.Save(path,
		config.Setting{Key: "connect_url", Value: server.Address},
		config.Setting{Key: "connect_cas", Value: "trusted"},
		config.Setting{Key: "authtoken", Value: token.Reveal()})
	if err != nil {
		return err
	}
	as := ""
	if name := server.Welcome.AccountName; name != "" {
		as = fmt.Sprintf(" as %q", name)
	}
	_, err = fmt.Fprintf(c.streams.Out, "Logged in to %s%s\nServer and authtoken saved to configuration file: %s\n", server.Address, as, path)
	return err
}
