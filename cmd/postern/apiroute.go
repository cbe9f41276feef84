package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/resource"
)

// routeCommand makes the command of what a resource has besides the usual: its arguments
// are the placeholders of the path, in order.
func routeCommand(access *apiAccess, d resource.Definition, r resource.Route) *cobra.Command {
	names := placeholders(r.Path)
	var fields bodyFlags
	var l listing
	command := &cobra.Command{Use: strings.Join(append([]string{routeVerb(d, r)}, names...), " "), Short: r.Doc, Args: cobra.ExactArgs(len(names))}
	if r.Body != nil {
		fields.register(command.Flags(), r.Body)
	}
	if r.Paged {
		l.register(command.Flags())
	}
	shown := d
	if r.Answer != nil {
		shown.Object, shown.ListKey = r.Answer, r.ListKey
	}
	command.RunE = func(cmd *cobra.Command, args []string) error {
		path := d.Path() + r.Path
		for i, name := range names {
			path = strings.Replace(path, "{"+strings.ToLower(name)+"}", url.PathEscape(args[i]), 1)
		}
		if r.Paged {
			answer, err := l.ask(cmd.Context(), access, shown, path)
			if err != nil {
				return err
			}
			return access.show(shown, r.Status, answer)
		}
		var body any
		if r.Body != nil {
			content, err := fields.body(access.streams.In)
			if err != nil {
				return err
			}
			body = content
		}
		answer, err := access.call(cmd.Context(), r.Method, path, body)
		if err != nil {
			return err
		}
		return access.show(shown, r.Status, answer)
	}
	return command
}

// placeholders are the names in braces of a path, as arguments are written.
func placeholders(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.ToUpper(strings.Trim(part, "{}")))
		}
	}
	return names
}

// routeVerb names a route after what it does to the last thing in its path that is no
// placeholder: "delete-certificate". A POST beside which there is no GET is a verb itself:
// "rotate".
func routeVerb(d resource.Definition, r resource.Route) string {
	var thing string
	for part := range strings.SplitSeq(r.Path, "/") {
		if part != "" && !strings.HasPrefix(part, "{") {
			thing = strings.ReplaceAll(part, "_", "-")
		}
	}
	if thing == "" { // of the collection itself
		return strings.ToLower(r.Method)
	}
	switch r.Method {
	case http.MethodDelete:
		return "delete-" + thing
	case http.MethodPatch, http.MethodPut:
		return "update-" + thing
	case http.MethodGet:
		if r.ListKey != "" {
			return "list-" + thing
		}
		return "get-" + thing
	}
	isCollection := slices.ContainsFunc(d.Routes, func(other resource.Route) bool { return other.Method == http.MethodGet && other.Path == r.Path })
	if isCollection {
		return "create-" + thing
	}
	return thing
}
