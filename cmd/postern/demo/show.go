package demo

import (
	"fmt"
	"net/url"
	"strings"
)

const (
	samplePath = "/searchContactsByName"
	sampleBody = `{"firstName": "Test"}`
)

// show prints what a newcomer needs: the URL, and a line to paste.
func (d *demo) show() {
	service := d.Upstream
	if d.sample {
		service += " (a sample contact service)"
	}
	text := fmt.Sprintf(`Postern demo: server, agent and service on this machine      (Ctrl+C to quit)

Public URL    %s
Forwards to   %s

Try it from another terminal:

%s

A browser warns of the certificate, which this demo made for itself, until this machine
trusts its CA ("postern ca untrust" takes that back):

  postern ca trust --file %s

With a service of your own: postern demo http 8080
`, d.url, service, d.curl(), quote(d.caFile))
	_, _ = fmt.Fprint(d.Out, text) // a closed terminal is no reason to stop
}

// curl is a command that can be pasted as it is: it trusts the demo's own CA for
// this one request and asks no resolver, because old curls do not know that names
// below localhost are this machine.
func (d *demo) curl() string {
	public, err := url.Parse(d.url)
	if err != nil { // cannot happen: the server made it
		return "curl " + d.url
	}
	words := []string{
		"  curl --cacert " + quote(d.caFile),
		"       --resolve " + quote(public.Host+":127.0.0.1"),
	}
	if d.sample {
		words = append(words,
			"       -X POST "+d.url+samplePath,
			"       -H 'Content-Type: application/json' -d "+quote(sampleBody))
	} else {
		words = append(words, "       "+d.url+"/")
	}
	return strings.Join(words, " \\\n")
}

// quote makes one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
