package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access"
	"github.com/postern-dev/postern/agent/access/signin"
)

// mostAuth bounds user:password, in bytes.
const mostAuth = 512

// accessHTTP gives an endpoint behind a password an address on this machine.
type accessHTTP struct {
	streams ioStreams
	connection
	logging
	auth, authFile, listen string
	origins                []string
}

func accessHTTPCommand(streams ioStreams) *cobra.Command {
	c := &accessHTTP{streams: streams}
	command := &cobra.Command{
		Use:   "http URL",
		Short: "Give an endpoint behind a password an address on this machine",
		Long: `Give an endpoint behind a password an address on this machine, for programs that can
send it no password: a front end of another origin, whose Authorization is for the
service. Requests, streams and WebSockets go to the endpoint with Postern-Authorization
added and Host changed, and otherwise as they came.

Whoever reaches the address is signed in with your password. It is on loopback only, and
pages of other sites than localhost are refused unless --origin names them.

The password is that of --auth, of the file of --auth-file, or of POSTERN_ENDPOINT_AUTH;
other people on this machine may see what is in a command line.`,
		Example: `  POSTERN_ENDPOINT_AUTH='ann:correct horse' postern access http https://api.example.com
  postern access http https://api.example.com --auth-file ~/api.txt --listen 127.0.0.1:9000
  postern access http https://api.example.com --auth-file ~/api.txt --origin https://front.example.com`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0]) },
	}
	flags := command.Flags()
	flags.StringVar(&c.auth, "auth", "", "`user:password` of the endpoint (env POSTERN_ENDPOINT_AUTH)")
	flags.StringVar(&c.authFile, "auth-file", "", "a `file` that holds user:password")
	flags.StringVar(&c.listen, "listen", "127.0.0.1:0", "`address` to listen at, on loopback; port 0 is the system's choice")
	flags.StringArrayVar(&c.origins, "origin", nil, "`origin` of a page elsewhere that may use the address, such as https://front.example.com; may be repeated")
	flags.StringVar(&c.cas, "ca", "", "who may vouch for the endpoint: trusted, host or a PEM `file` (env POSTERN_CONNECT_CAS)")
	flags.StringVar(&c.proxy, "proxy-url", "", "`URL` of the proxy to the endpoint, http, https or socks5 (env POSTERN_PROXY_URL; default: that of the environment)")
	flags.StringArrayVar(&c.configFiles, "config", nil, "configuration `file`; may be repeated, later files win")
	c.logging.register(flags)
	return command
}

func (c *accessHTTP) run(ctx context.Context, text string) error {
	wanted, err := c.wanted(text)
	if err != nil {
		return err
	}
	at, err := c.address()
	if err != nil {
		return err
	}
	file, err := c.resolve(c.streams)
	if err != nil {
		return err
	}
	log, err := c.open(c.streams, file)
	if err != nil {
		return err
	}
	defer log.close()
	if wanted.Transport, err = c.httpTransport(c.streams, text, file.CAs, file.Proxy); err != nil {
		return err
	}
	wanted.Logger = log.Logger
	door, err := signin.New(wanted)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return postern.Errorf(postern.CodeFlagInvalid, "--listen: %v", err).Because(err)
	}
	if !log.toStdout {
		_, _ = fmt.Fprintf(c.streams.Out, "http://%s -> %s\n", listener.Addr(), wanted.URL) // a reader that left is no reason to stop
	}
	return door.Serve(ctx, listener)
}

// wanted is what the command line asks for.
func (c *accessHTTP) wanted(text string) (signin.Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" ||
		u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return signin.Config{}, postern.Errorf(postern.CodeFlagInvalid, "the URL of the endpoint must be https://HOST or http://HOST, with nothing behind and no password in it")
	}
	auth, err := c.credential()
	if err != nil {
		return signin.Config{}, err
	}
	user, password, found := strings.Cut(auth, ":")
	if !found || user == "" || password == "" || len(auth) > mostAuth || !utf8.ValidString(auth) || strings.ContainsFunc(auth, unicode.IsControl) {
		return signin.Config{}, postern.Errorf(postern.CodeFlagInvalid,
			"give the endpoint's USER:PASSWORD with --auth, --auth-file or POSTERN_ENDPOINT_AUTH: one line of at most %d bytes, neither part empty", mostAuth)
	}
	endpoint := &url.URL{Scheme: u.Scheme, Host: u.Host}
	return signin.Config{
		URL: endpoint, User: user, Password: postern.Secret(password), Origins: c.origins,
		WrongPassword: func() {
			_, _ = fmt.Fprintf(c.streams.Err, "WARNING: %s does not take this name or password (%s). Start again with the right ones.\n", endpoint, postern.CodePasswordRequired)
		},
	}, nil
}

// credential is user:password, of the flag, the file or the environment.
func (c *accessHTTP) credential() (string, error) {
	switch {
	case c.auth != "" && c.authFile != "":
		return "", postern.Errorf(postern.CodeFlagInvalid, "give --auth or --auth-file, not both")
	case c.authFile == "":
		return firstOf(c.auth, c.streams.Env("POSTERN_ENDPOINT_AUTH")), nil
	}
	text, err := os.ReadFile(c.authFile)
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "the file of --auth-file cannot be read: %v", err).Because(err)
	}
	return string(bytes.TrimRight(text, "\r\n")), nil
}

// address is where to listen. Other machines have no business there: they would be signed
// in with this person's password.
func (c *accessHTTP) address() (netip.AddrPort, error) {
	at, err := access.ParseListen(c.listen)
	if err == nil && !at.Addr().IsLoopback() {
		err = postern.Errorf(postern.CodeFlagInvalid, "--listen: %s is not on loopback, and whoever reaches it would be signed in with your password; use 127.0.0.1 or [::1]", at)
	}
	return at, err
}
