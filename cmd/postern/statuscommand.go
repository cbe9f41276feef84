package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
)

const (
	statusPatience = 5 * time.Second
	mostStatus     = 8 << 20
)

// statusCommand asks the agent that runs on this machine.
type statusCommand struct {
	streams ioStreams
	connection
	addr string
	json bool
}

func newStatusCommand(streams ioStreams) *cobra.Command {
	c := &statusCommand{streams: streams}
	command := &cobra.Command{
		Use:   "status",
		Short: "Say how the agent of this machine is, and its public URLs",
		Long: `Say how the agent of this machine is, and its public URLs. It is asked through its
local API, at web_addr of the configuration. The exit status is 0 where it is online.`,
		Example: "  postern status\n  postern status --json\n  postern status --web-addr 127.0.0.1:4041",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	flags := command.Flags()
	flags.StringArrayVar(&c.configFiles, "config", nil, "configuration `file`; may be repeated")
	flags.StringVar(&c.addr, "web-addr", "", "where the local API is (default: web_addr of the configuration, else 127.0.0.1:4040)")
	flags.BoolVar(&c.json, "json", false, "for programs: status, session, problem and tunnels as one object")
	return command
}

// agentStatus is what the local API says; the names are the API's.
type agentStatus struct {
	Status       string          `json:"status"`
	AgentVersion string          `json:"agent_version"`
	Session      json.RawMessage `json:"session"`
	Problem      string          `json:"problem,omitempty"`
	Tunnels      []tunnelStatus  `json:"tunnels"`
}

type tunnelStatus struct {
	Name      string `json:"name"`
	PublicURL string `json:"public_url"`
	Proto     string `json:"proto"`
	Config    struct {
		Addr string `json:"addr"`
	} `json:"config"`
}

func (c *statusCommand) run(ctx context.Context) error {
	file, err := c.readFiles(c.streams)
	if err != nil {
		return err
	}
	address, err := webAddress(firstOf(c.addr, file.WebAddr))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	var now agentStatus
	for _, path := range []string{"/api/status", "/api/tunnels"} {
		if err := ask(ctx, address, path, file, &now); err != nil {
			return err
		}
	}
	if err := c.print(now); err != nil {
		return err
	}
	if now.Status != "online" {
		return errToldAlready
	}
	return nil
}

// webAddress is where an API that listens on addr is reached from this machine.
func webAddress(addr string) (string, error) {
	switch strings.ToLower(addr) {
	case "":
		return "127.0.0.1:4040", nil
	case "false", "off", "none":
		return "", postern.Errorf(postern.CodeConfigInvalid, "web_addr is %s: the agent has no local API to ask", addr)
	}
	if _, err := strconv.ParseUint(addr, 10, 16); err == nil {
		addr = ":" + addr
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", postern.Errorf(postern.CodeConfigInvalid, "web_addr %q is not host:port", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func ask(ctx context.Context, address, path string, file config.Config, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return postern.Errorf(postern.CodeConfigInvalid, "web_addr %q cannot be asked: %v", address, err)
	}
	if file.WebToken != "" {
		request.Header.Set("Authorization", "Bearer "+file.WebToken.Reveal())
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this machine
	response, err := client.Do(request)
	if err != nil {
		return postern.Errorf(postern.CodeNoAgent, "no agent answers at %s: %v", address, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostStatus))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %s", response.Status)
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return postern.Errorf(postern.CodeNoAgent, "what answers at %s is no agent: %v", address, err)
	}
	return nil
}

func (c *statusCommand) print(now agentStatus) error {
	if c.json {
		encoder := json.NewEncoder(c.streams.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(now)
	}
	text := fmt.Sprintf("%-30s%s\n", "Session Status", console.Harmless(now.Status))
	if now.Problem != "" {
		text += fmt.Sprintf("%-30s%s\n", "Problem", console.Harmless(now.Problem))
	}
	text += fmt.Sprintf("%-30s%s\n", "Version", console.Harmless(now.AgentVersion))
	for _, t := range now.Tunnels {
		text += fmt.Sprintf("%-30s%s -> %s\n", "Forwarding", console.Harmless(t.PublicURL), console.Harmless(t.Config.Addr))
	}
	_, err := io.WriteString(c.streams.Out, text)
	return err
}
