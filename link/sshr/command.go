package sshr

import (
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
)

// maxCommand bounds a client's command, in bytes.
const maxCommand = 16 << 10

// ParseCommand reads the command of an ssh line, what follows the server's name: a
// scheme, and flags of the agent's commands that mean something without the agent.
//
//	http --url https://app.example.com --description "the shop"
//	tcp 22
//	tls --subdomain mail
//
// An empty command is the zero value. A port behind the scheme, as ngrok's examples have
// it, is what the client forwards to, which it knows. Errors are *postern.Error with
// CodeSSHRequestRefused.
func ParseCommand(line string) (Options, error) {
	if len(line) > maxCommand {
		return Options{}, refusedf("the command has %d bytes; at most %d are allowed", len(line), maxCommand)
	}
	words, err := split(line)
	if err != nil || len(words) == 0 {
		return Options{}, err
	}
	p := parser{words: words[1:]}
	switch words[0] {
	case "http", "https":
		p.Scheme = postern.HTTPS
	case "tcp":
		p.Scheme = postern.TCP
	case "tls":
		p.Scheme = postern.TLS
	case "udp":
		return Options{}, refusedf("SSH carries no datagrams; UDP endpoints need the agent: postern udp PORT")
	default:
		return Options{}, refusedf("%.40q is no command here; there are http, tcp and tls, and none is needed: ssh -R 80:localhost:8080 HOST", words[0])
	}
	err = p.parse()
	return p.options, err
}

func refusedf(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeSSHRequestRefused, format, args...)
}

// options is embedded, so that a parser fills it in.
type options = Options

type parser struct {
	options
	words  []string
	target bool // a word that is no flag was there
}

func (p *parser) parse() error {
	for len(p.words) > 0 {
		word := p.words[0]
		p.words = p.words[1:]
		name, isFlag := strings.CutPrefix(word, "-")
		if !isFlag {
			if p.target {
				return refusedf("%.40q: only one word without a dash may follow the scheme", word)
			}
			p.target = true
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		if err := p.flag(name, value, hasValue); err != nil {
			return err
		}
	}
	return nil
}

// flag reads one flag, whose value may be the next word.
func (p *parser) flag(name, value string, hasValue bool) error {
	if name == "pooling-enabled" {
		on := true
		if hasValue {
			var err error
			if on, err = strconv.ParseBool(value); err != nil {
				return refusedf("--%s is %.40q; it must be true or false", name, value)
			}
		}
		p.Pooling = on
		return nil
	}
	set := p.setter(name)
	if set == nil {
		return refusedf("--%.40s needs the agent; over SSH there are --url, --subdomain, --scheme, --name, --description, --metadata, --pooling-enabled, --host-header, --proxy-proto and --terminate-at", name)
	}
	if !hasValue {
		if len(p.words) == 0 {
			return refusedf("--%s needs a value", name)
		}
		value, p.words = p.words[0], p.words[1:]
	}
	return set(value)
}

// setter takes the value of a flag; nil for one that there is not.
func (p *parser) setter(name string) func(string) error {
	text := func(field *string) func(string) error {
		return func(value string) error { *field = value; return nil }
	}
	switch name {
	case "name":
		return text(&p.Name)
	case "description":
		return text(&p.Description)
	case "metadata":
		return text(&p.Metadata)
	case "subdomain":
		return text(&p.Subdomain)
	case "url", "domain", "hostname", "remote-addr":
		return p.setURL
	case "scheme", "schemes":
		return p.setScheme
	case "host-header":
		return p.setHostHeader
	case "proxy-proto":
		return p.setProxyProtocol
	case "terminate-at":
		return p.setTermination
	}
	return nil
}

func (p *parser) setURL(value string) error {
	ascii, err := idn.URLToASCII(strings.TrimSpace(value))
	if err != nil {
		return err
	}
	asked, err := postern.ParseURLRequest(ascii, p.Scheme)
	if err != nil {
		return err
	}
	if asked.Scheme.Hosted() != p.Scheme.Hosted() || (asked.Scheme == postern.TLS) != (p.Scheme == postern.TLS) {
		return refusedf("the URL %.80q is not one of the command's scheme", value)
	}
	p.URL, p.Scheme = asked, asked.Scheme
	return nil
}

func (p *parser) setScheme(value string) error {
	scheme, err := postern.ParseScheme(value)
	if err != nil {
		return err
	}
	if !scheme.Hosted() || p.Scheme != postern.HTTP && p.Scheme != postern.HTTPS {
		return refusedf("--scheme is for the command http: http or https")
	}
	p.Scheme = scheme
	return nil
}

func (p *parser) setHostHeader(value string) error {
	switch value {
	case "preserve":
		value = ""
	case "rewrite":
		return refusedf("--host-header=rewrite needs the agent: over SSH the server does not know the service's name; give the name itself")
	}
	p.Endpoint.HostHeader = value
	return nil
}

func (p *parser) setProxyProtocol(value string) error {
	switch value {
	case "1":
		p.Endpoint.ProxyProtocol = 1
	case "2":
		p.Endpoint.ProxyProtocol = 2
	default:
		return refusedf("--proxy-proto is %.40q; it must be 1 or 2", value)
	}
	return nil
}

func (p *parser) setTermination(value string) error {
	switch value {
	case "edge":
		p.Endpoint.Termination = postern.AtEdge
	case "upstream":
		p.Endpoint.Termination = postern.Passthrough
	default:
		return refusedf("--terminate-at is %.40q; it must be edge or upstream", value)
	}
	return nil
}

// split cuts a command into words as a shell does: blanks separate, quotes and
// backslashes keep together. Nothing is expanded.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, escaped, quote := false, false, rune(0)
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			inWord, quote = true, c
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, refusedf("the command %.60q ends inside quotes", line)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
