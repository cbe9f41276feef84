package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

const (
	mostCaptures     = 128 << 20 // bytes of one source
	capturesPatience = 30 * time.Second
	capturesPath     = "/api/requests/http?limit=1000"
)

// policyDryRun tells what a policy would have made of captured requests.
type policyDryRun struct {
	streams ioStreams
	connection
	policyTarget
	policySurroundings
	captures []string
	client   string
	json     bool
}

func policyDryRunCommand(streams ioStreams) *cobra.Command {
	d := &policyDryRun{streams: streams}
	command := &cobra.Command{
		Use:   "dry-run FILE",
		Short: "Say what a traffic policy would have made of captured requests",
		Long: `Hold a traffic policy to requests that were captured, and say what it would have made of
them, rule by rule. --captures is an HTTP archive (HAR), as browsers save it, or the API of
a running agent. Nothing is asked or sent: services are not there, and of secrets, places,
IP policies and the answers of those whom the policy asks only what --with has. Limits are
counted by the times of the captures.`,
		Example: "  postern policy dry-run policy.yml --captures site.har\n  postern policy dry-run policy.yml --captures http://127.0.0.1:4040 --json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return d.run(cmd.Context(), args[0]) },
	}
	d.policyTarget.register(command)
	d.policySurroundings.register(command)
	flags := command.Flags()
	flags.StringArrayVar(&d.captures, "captures", nil, "HAR `FILE`, or URL of an agent's API; may be repeated")
	flags.StringVar(&d.client, "client", "203.0.113.7", "the visitor's `ADDRESS`, where captures do not say it")
	flags.StringArrayVar(&d.configFiles, "config", nil, "configuration `file` with the agent's web_token; may be repeated")
	flags.BoolVar(&d.json, "json", false, "print JSON: a summary, the rules, and the outcome of each request")
	return command
}

func (d *policyDryRun) run(ctx context.Context, path string) error {
	at, err := d.target()
	if err != nil {
		return err
	}
	if !at.HTTP() {
		return postern.Errorf(postern.CodeFlagInvalid, "captures are requests, and %s endpoints have none; use \"postern policy test\"", at.Scheme)
	}
	if len(d.captures) == 0 {
		return postern.Errorf(postern.CodeFlagInvalid, "name what was captured: --captures FILE.har, or --captures http://127.0.0.1:4040")
	}
	text, name, err := d.streams.readPolicy(path)
	if err != nil {
		return err
	}
	program, err := compilePolicy(d.streams.Err, text, name, at)
	if err != nil {
		return err
	}
	if err := writeWarnings(d.streams.Err, name, program.Warnings()); err != nil {
		return err
	}
	cases, err := d.read(ctx)
	if err != nil {
		return err
	}
	world, err := d.world(trial.Surroundings{})
	if err != nil {
		return err
	}
	made, err := trial.DryRun(ctx, program, at, world, cases)
	if err != nil {
		return err
	}
	if d.json {
		encoder := json.NewEncoder(d.streams.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(made)
	}
	return writeDryRun(d.streams.Out, made)
}

func (d *policyDryRun) read(ctx context.Context) ([]trial.Case, error) {
	client, err := netip.ParseAddr(d.client)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--client %q is not an IP address", d.client)
	}
	from := netip.AddrPortFrom(client, 50000).String()
	var all []trial.Case
	for _, source := range d.captures {
		read := d.readArchive
		if strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://") {
			read = d.readAgent
		}
		cases, err := read(ctx, source, from)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

func (d *policyDryRun) readArchive(_ context.Context, path, client string) ([]trial.Case, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the captures cannot be read: %v", err).Because(err)
	}
	defer file.Close()
	text, err := readBounded(file)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the captures %s cannot be read: %v", path, err)
	}
	cases, err := trial.ParseHAR(text, client)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s: %s", path, postern.AsError(err).Message)
	}
	return cases, nil
}

func (d *policyDryRun) readAgent(ctx context.Context, address, client string) ([]trial.Case, error) {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "http" || net.ParseIP(at.Hostname()) == nil && at.Hostname() != "localhost" {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--captures %q is not the address of an agent's API, such as http://127.0.0.1:4040", address)
	}
	file, err := d.readFiles(d.streams)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, capturesPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.Host+capturesPath, nil)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--captures %q cannot be asked: %v", address, err)
	}
	if file.WebToken != "" {
		request.Header.Set("Authorization", "Bearer "+file.WebToken.Reveal())
	}
	text, err := fetchCaptures(request)
	if err != nil {
		return nil, postern.Errorf(postern.CodeNoAgent, "no agent tells of captured requests at %s: %v", at.Host, err)
	}
	cases, truncated, err := trial.ParseCaptures(text, client)
	if err != nil {
		return nil, postern.Errorf(postern.CodeNoAgent, "what answers at %s is no agent: %s", at.Host, postern.AsError(err).Message)
	}
	if truncated {
		_, err = fmt.Fprintf(d.streams.Err, "WARN:  the agent at %s has more captured requests than it tells at once; these are the newest\n", at.Host)
	}
	return cases, err
}

func fetchCaptures(request *http.Request) ([]byte, error) {
	// No proxy: it is this machine, or one that was named by its address.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	return readBounded(response.Body)
}

func readBounded(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, mostCaptures+1))
	if err == nil && len(text) > mostCaptures {
		err = fmt.Errorf("they have more than %d bytes", mostCaptures)
	}
	return text, err
}

// writeDryRun is a dry run as people read it: what would be otherwise, and then how often
// each rule counted.
func writeDryRun(w io.Writer, made resource.PolicyDryRun) error {
	var text strings.Builder
	for _, o := range made.Outcomes {
		if len(o.Changes)+len(o.Calls) == 0 {
			continue
		}
		fmt.Fprintf(&text, "%s\n", console.Harmless(o.Request))
		for _, change := range o.Changes {
			fmt.Fprintf(&text, "  %s\n", console.Harmless(change))
		}
		for _, call := range o.Calls {
			fmt.Fprintf(&text, "  the policy asks: %s\n", console.Harmless(call))
		}
		for _, s := range o.Steps {
			if s.Action == "" && !s.Matched && s.Code == nil {
				continue
			}
			fmt.Fprintf(&text, "    %s\n", console.Harmless(stepText(s)))
		}
	}
	if text.Len() > 0 {
		text.WriteString("\n")
	}
	fmt.Fprintf(&text, "%d requests: %d would be answered otherwise, %d changed, %d left as they are.\n",
		made.Requests, made.Answered, made.Changed, made.Requests-made.Answered-made.Changed)
	for _, r := range made.Rules {
		fmt.Fprintf(&text, "  %s matched %d of %d\n", console.Harmless(ruleText(r.Rule, r.Name)), r.Matched, r.Asked)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func stepText(s resource.PolicyDryRunStep) string {
	text := ruleText(s.Rule, s.Name)
	if s.Action != "" {
		text += ": " + s.Action
	}
	switch {
	case s.Code != nil:
		text += ": " + *s.Code + " " + s.Msg
	case s.Action == "":
		text += " matches"
	case s.Decision != policy.Continue.String():
		text += ": " + s.Decision
	}
	return text
}

func ruleText(where, name string) string {
	if name == "" {
		return where
	}
	return fmt.Sprintf("%s %q", where, name)
}
