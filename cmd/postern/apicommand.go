package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

const apiTimeout = 30 * time.Second

const apiHelp = `Use the server's REST API: a command for each resource, and below it one for each
thing that can be done with it. The fields of what is made or changed are flags; a value
that begins with @ is read from the file behind it, @- from stdin, and @@ stands for @.

The API is found by --api-url, POSTERN_API_URL or api_url of the configuration, else
at api.DOMAIN of the agent's server; the key by --api-key, POSTERN_API_KEY,
NGROK_API_KEY or api_key of the configuration.`

// apiCommand makes the commands of every resource, from the resource table.
func apiCommand(streams ioStreams) *cobra.Command {
	access := &apiAccess{streams: streams}
	command := &cobra.Command{
		Use:     "api",
		Short:   "Make, list, change and delete what the server keeps, over its REST API",
		Long:    apiHelp,
		Example: "  postern api credentials create --description laptop --acl 'bind:*.example.com'\n  postern api reserved-domains list --filter 'obj.domain.endsWith(\".example.com\")'\n  postern api tunnel-sessions restart ts_…",
		Args:    subcommandOnly,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	access.register(command)
	if !streams.ForAPI {
		return command // hundreds of commands and flags, which an agent or server would carry for nothing
	}
	for _, definition := range resource.Table() {
		command.AddCommand(resourceCommand(access, definition))
	}
	return command
}

// apiAccess is how commands reach the API and print what it says.
type apiAccess struct {
	streams ioStreams
	connection
	url, key    string
	json, table bool
}

func (a *apiAccess) register(command *cobra.Command) {
	a.registerConnection(command)
	flags := command.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print JSON (the default where no terminal reads it)")
	flags.BoolVar(&a.table, "table", false, "print a table (the default on a terminal)")
}

// registerConnection makes the flags that say where the API is.
func (a *apiAccess) registerConnection(command *cobra.Command) {
	flags := command.PersistentFlags()
	flags.StringVar(&a.url, "api-url", "", "`URL` of the API (env POSTERN_API_URL)")
	flags.StringVar(&a.key, "api-key", "", "the API key (env POSTERN_API_KEY, NGROK_API_KEY)")
	flags.StringVar(&a.cas, "api-cas", "", "who may vouch for the API: trusted, host or a PEM `file` (env POSTERN_CONNECT_CAS)")
	flags.StringArrayVar(&a.configFiles, "config", nil, "configuration `file`; may be repeated, later files win")
}

// client connects nothing yet.
func (a *apiAccess) client() (*client.Client, error) {
	file, err := a.resolve(a.streams)
	if err != nil {
		return nil, err
	}
	address := firstOf(a.url, file.APIURL)
	if address == "" && len(file.Servers) > 0 {
		address = apiBeside(file.Servers[0])
	}
	if address == "" {
		return nil, &postern.Error{Code: postern.CodeNoServer}
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	transport, err := a.httpTransport(a.streams, address, file.CAs, file.Proxy)
	if err != nil {
		return nil, err
	}
	transport.DisableKeepAlives = true
	return client.New(client.Options{URL: address, APIKey: postern.Secret(firstOf(a.key, file.APIKey.Reveal())),
		HTTP: &http.Client{Timeout: apiTimeout, Transport: transport}, UserAgent: "postern/" + version()})
}

// apiBeside is where the API of an agent's server is.
func apiBeside(server string) string {
	host, port, err := net.SplitHostPort(server)
	if err != nil || net.ParseIP(host) != nil {
		return ""
	}
	return "https://" + net.JoinHostPort("api."+strings.TrimPrefix(host, "connect."), port)
}

// call sends one request and gives the body of the answer, nil for none.
func (a *apiAccess) call(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	api, err := a.client()
	if err != nil {
		return nil, err
	}
	var answer json.RawMessage
	err = api.Call(ctx, method, path, body, &answer)
	return answer, err
}
