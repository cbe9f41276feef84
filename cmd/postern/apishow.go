package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/resource"
)

// mostColumns of a table, and the width at which a value is cut.
const (
	mostColumns = 6
	mostWidth   = 48
)

// show prints an answer. As ngrok the status comes first and JSON behind it: that is what
// programs which run its command line expect.
func (a *apiAccess) show(d resource.Definition, status int, answer json.RawMessage) error {
	out := a.streams.Out
	switch {
	case a.json && a.table:
		return postern.Errorf(postern.CodeFlagInvalid, "--json and --table exclude each other")
	case a.streams.asNgrok() && !a.table:
		if _, err := fmt.Fprintf(out, "%d %s\n", status, http.StatusText(status)); err != nil {
			return err
		}
		return showJSON(out, answer)
	case a.table || !a.json && isTerminal(out):
		return showTable(out, d, answer)
	}
	return showJSON(out, answer)
}

func showJSON(out io.Writer, answer json.RawMessage) error {
	if len(answer) == 0 {
		return nil
	}
	var text bytes.Buffer
	if err := json.Indent(&text, answer, "", "  "); err != nil {
		return postern.Errorf(postern.CodeAPIUnreachable, "the answer of the API cannot be read").Because(err)
	}
	text.WriteByte('\n')
	_, err := text.WriteTo(out)
	return err
}

// showTable prints a list as a table, and one resource as a line for each field.
func showTable(out io.Writer, d resource.Definition, answer json.RawMessage) error {
	if len(answer) == 0 {
		return nil
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(answer, &body); err != nil {
		return postern.Errorf(postern.CodeAPIUnreachable, "the answer of the API cannot be read").Because(err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	items, isList := body[d.ListKey]
	if !isList {
		for _, name := range fieldNames(d.Object) {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, cell(body[name], false)) // Flush tells
		}
		return table.Flush()
	}
	var rows []map[string]json.RawMessage
	if err := json.Unmarshal(items, &rows); err != nil {
		return postern.Errorf(postern.CodeAPIUnreachable, "the list of the API cannot be read").Because(err)
	}
	columns := columnsOf(d.Object)
	_, _ = fmt.Fprintln(table, strings.ToUpper(strings.Join(columns, "\t")))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, column := range columns {
			cells[i] = cell(row[column], true)
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if string(body["next_page_uri"]) != "null" && len(rows) > 0 {
		_, _ = fmt.Fprintf(table, "\nThere are more: --all, or --before-id %s\n", cell(rows[len(rows)-1]["id"], false))
	}
	return table.Flush()
}

// fieldNames are those of a type in JSON, in order.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			names = append(names, fieldNames(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// columnsOf are what tells resources apart at a glance: the id, what is its own, and the
// description.
func columnsOf(t reflect.Type) []string {
	columns := []string{"id"}
	for _, name := range fieldNames(t) {
		if len(columns) == mostColumns-2 {
			break
		}
		if !slices.Contains([]string{"id", "uri", "created_at", "updated_at", "description", "metadata", "token"}, name) {
			columns = append(columns, name)
		}
	}
	for _, name := range []string{"description", "created_at"} {
		if slices.Contains(fieldNames(t), name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// cell is a value as people read it, in one line.
func cell(value json.RawMessage, cut bool) string {
	text := string(value)
	var asText string
	var asRef struct {
		ID string `json:"id"`
	}
	switch {
	case text == "null":
		text = ""
	case json.Unmarshal(value, &asText) == nil:
		text = asText
	case json.Unmarshal(value, &asRef) == nil && asRef.ID != "":
		text = asRef.ID
	}
	text = console.Harmless(strings.Join(strings.Fields(text), " "))
	if runes := []rune(text); cut && len(runes) > mostWidth {
		text = string(runes[:mostWidth-1]) + "…"
	}
	return text
}
