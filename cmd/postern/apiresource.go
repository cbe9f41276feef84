package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// resourceCommand makes the commands of one resource.
func resourceCommand(access *apiAccess, d resource.Definition) *cobra.Command {
	command := &cobra.Command{
		Use: d.Command(), Short: d.Doc, Long: d.Doc + "\n\nPath in the API: " + d.Path(),
		Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if d.Operations.Has(resource.Create) {
		command.AddCommand(bodyCommand(access, d, "create", "Make: "+d.Singular, d.Creation, http.MethodPost, http.StatusCreated))
	}
	if d.Operations.Has(resource.Get) {
		command.AddCommand(getCommand(access, d))
	}
	if d.Operations.Has(resource.List) {
		command.AddCommand(listCommand(access, d))
	}
	if d.Operations.Has(resource.Update) {
		command.AddCommand(bodyCommand(access, d, "update", "Change: "+d.Singular, d.Change, http.MethodPatch, http.StatusOK))
	}
	if d.Operations.Has(resource.Delete) {
		command.AddCommand(bareCommand(access, d, "delete", "Delete: "+d.Singular, http.MethodDelete, ""))
	}
	for _, action := range d.Actions {
		command.AddCommand(bareCommand(access, d, action.Name, action.Doc, http.MethodPost, "/"+action.Name))
	}
	for _, route := range d.Routes {
		command.AddCommand(routeCommand(access, d, route))
	}
	return command
}

// bodyCommand makes or changes; the fields of the body are flags.
func bodyCommand(access *apiAccess, d resource.Definition, verb, short string, body reflect.Type, method string, status int) *cobra.Command {
	var fields bodyFlags
	command := &cobra.Command{Use: verb, Short: short, Args: cobra.NoArgs}
	if method == http.MethodPatch {
		command.Use, command.Args = verb+" ID", cobra.ExactArgs(1)
	}
	fields.register(command.Flags(), body)
	command.RunE = func(cmd *cobra.Command, args []string) error {
		content, err := fields.body(access.streams.In)
		if err != nil {
			return err
		}
		path := d.Path()
		if len(args) > 0 {
			path = d.PathOf(url.PathEscape(args[0]))
		}
		answer, err := access.call(cmd.Context(), method, path, content)
		if err != nil {
			return err
		}
		return access.show(d, status, answer)
	}
	return command
}

func getCommand(access *apiAccess, d resource.Definition) *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Get: " + d.Singular, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := access.call(cmd.Context(), http.MethodGet, d.PathOf(url.PathEscape(args[0])), nil)
			if err != nil {
				return err
			}
			return access.show(d, http.StatusOK, answer)
		},
	}
}

// bareCommand does what needs an id and nothing else, and has no answer.
func bareCommand(access *apiAccess, d resource.Definition, verb, short, method, below string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var body any
			if method == http.MethodPost {
				body = struct{}{}
			}
			if _, err := access.call(cmd.Context(), method, d.PathOf(url.PathEscape(args[0]))+below, body); err != nil {
				return err
			}
			return access.show(d, http.StatusNoContent, nil)
		},
	}
}

// listing are the flags of a list.
type listing struct {
	before, filter string
	limit          int
	all            bool
}

func listCommand(access *apiAccess, d resource.Definition) *cobra.Command {
	var l listing
	command := &cobra.Command{
		Use: "list", Short: "List: " + d.Singular, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := l.ask(cmd.Context(), access, d, d.Path())
			if err != nil {
				return err
			}
			return access.show(d, http.StatusOK, answer)
		},
	}
	l.register(command.Flags())
	return command
}

func (l *listing) register(flags *pflag.FlagSet) {
	flags.StringVar(&l.before, "before-id", "", "only what was made before the one with this `ID`")
	flags.IntVar(&l.limit, "limit", 0, "how many come with one request, 1 to 100 (default 100)")
	flags.StringVar(&l.filter, "filter", "", "a CEL `EXPRESSION` over obj, such as 'obj.description == \"x\"'")
	flags.BoolVar(&l.all, "all", false, "all pages, not the first alone")
}

// ask gets a page, or all of them as one.
func (l listing) ask(ctx context.Context, access *apiAccess, d resource.Definition, path string) (json.RawMessage, error) {
	query := url.Values{}
	for name, value := range map[string]string{"before_id": l.before, "filter": l.filter} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if l.limit != 0 {
		query.Set("limit", strconv.Itoa(l.limit))
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	api, err := access.client()
	if err != nil {
		return nil, err
	}
	if !l.all {
		var first json.RawMessage
		err := api.Call(ctx, http.MethodGet, path, nil, &first)
		return first, err
	}
	return l.gather(ctx, api, d, path)
}

// gather follows the pages and makes one list of them.
func (l listing) gather(ctx context.Context, api *client.Client, d resource.Definition, path string) (json.RawMessage, error) {
	items := []json.RawMessage{}
	var last map[string]json.RawMessage
	for path != "" {
		last = nil
		if err := api.Call(ctx, http.MethodGet, path, nil, &last); err != nil {
			return nil, err
		}
		var page []json.RawMessage
		var next string
		if json.Unmarshal(last[d.ListKey], &page) != nil || json.Unmarshal(last["next_page_uri"], &next) != nil {
			return nil, postern.Errorf(postern.CodeAPIUnreachable, "the list of the API cannot be read")
		}
		items = append(items, page...)
		path = strings.TrimSpace(next)
	}
	all, err := json.Marshal(items)
	if err != nil {
		return nil, err
	}
	last[d.ListKey] = all
	return json.Marshal(last)
}
