package sshr

import (
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
	"github.com/postern-dev/postern/link"
)

// Options are what a client's command says of its endpoints, such as
//
//	ssh -R 443:localhost:8080 connect.example.com http --url https://app.example.com
//
// The zero value is no command. They hold for every remote forward of the connection.
type Options struct {
	Scheme      postern.Scheme     // "" where the forward says it
	URL         postern.URLRequest // --url and its relatives; zero for none
	Subdomain   string
	Name        string
	Description string
	Metadata    string
	Pooling     bool
	Endpoint    postern.EndpointOptions
}

const (
	portHTTP  = 80
	portHTTPS = 443
)

// Request is the endpoint that a remote forward of address and port (RFC 4254 §7.1)
// stands for:
//
//	80, 443                  https, with a name that the server assigns
//	0                        tcp, with a port that the server assigns
//	any other port           tcp, on that port
//	app:80, app:443          https://app.DOMAIN
//	app.example.com:443      https://app.example.com
//	http:…, https:…, tls:…, tcp:…   that scheme, whatever the port
//
// A scheme or URL of the options comes first. Errors are *postern.Error.
func (o Options) Request(address string, port uint16) (link.BindRequest, error) {
	r := link.BindRequest{
		Name: o.Name, Description: o.Description, Metadata: o.Metadata, Pooling: o.Pooling, Options: o.Endpoint,
	}
	address = strings.ToLower(strings.Trim(address, "[]"))
	scheme := o.Scheme
	if named, err := postern.ParseScheme(address); err == nil {
		if scheme != "" && scheme != named {
			return r, postern.Errorf(postern.CodeBindInvalid, "the forward asks for %s and the command for %s; leave one of them out", named, scheme)
		}
		scheme, address = named, ""
	}
	if scheme == "" {
		scheme = schemeOf(port)
	}
	if scheme == postern.UDP {
		return r, postern.Errorf(postern.CodeSSHRequestRefused, "SSH carries no datagrams; UDP endpoints need the agent: postern udp PORT")
	}
	r.URL = o.URL
	r.URL.Scheme = scheme
	r.Subdomain = o.Subdomain
	if err := name(&r, address); err != nil {
		return r, err
	}
	if !scheme.Hosted() && r.URL.Port == 0 {
		r.URL.Port = port
	}
	return r, nil
}

// schemeOf is what a port stands for where nobody says more.
func schemeOf(port uint16) postern.Scheme {
	if port == portHTTP || port == portHTTPS {
		return postern.HTTPS
	}
	return postern.TCP
}

// name puts the address of a forward into r, unless the command has another.
func name(r *link.BindRequest, address string) error {
	switch address {
	case "", "*", "localhost", "0.0.0.0", "::", "127.0.0.1", "::1":
		// Nobody named one, or asks for all of the server's addresses: ssh sends "localhost"
		// for "-R 80:…".
		return nil
	}
	if len(address) > 253 {
		return postern.Errorf(postern.CodeHostnameInvalid, "the name %.60q… has %d bytes; at most 253 are allowed", address, len(address))
	}
	ascii, err := idn.URLToASCII(address)
	if err != nil {
		return err
	}
	asked, err := postern.ParseURLRequest(ascii, r.URL.Scheme)
	if err != nil {
		return err
	}
	whole := strings.Contains(ascii, ".") || asked.IP.IsValid()
	switch {
	case asked.Scheme != r.URL.Scheme || asked.Port != 0:
		return postern.Errorf(postern.CodeHostnameInvalid, "%q is not a name", address)
	case r.URL.Host != "" || r.Subdomain != "":
		if whole && asked.Host == r.URL.Host || !whole && string(asked.Host) == r.Subdomain {
			return nil
		}
		return postern.Errorf(postern.CodeBindInvalid, "the forward asks for %s and the command for another name; leave one of them out", address)
	case whole:
		r.URL.Host, r.URL.IP = asked.Host, asked.IP
	case !r.URL.Scheme.Hosted():
		return postern.Errorf(postern.CodeBindInvalid,
			"a TCP endpoint has a port and no name; leave %q out, or use port 80 or 443 for a web endpoint of that name", address)
	default:
		r.Subdomain = string(asked.Host)
	}
	return nil
}
