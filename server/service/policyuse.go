package service

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// mostNamed is how many endpoints a message lists.
const mostNamed = 5

// unnamed refuses to take something away that traffic policies of the account's cloud
// endpoints name: they would fail every request, or refuse every visitor. It goes by their
// text, so a comment counts as well. What policies of agents name is not known here.
func (d *draft) unnamed(account postern.AccountID, what string, names func(policy string) bool) error {
	var found []string
	for before := ""; ; {
		rows, err := d.CloudEndpoints().List(d.ctx, store.Page{Account: account, Before: before, Limit: page})
		if err != nil {
			return err
		}
		for i := range rows {
			before = rows[i].ID
			if names(rows[i].TrafficPolicy) {
				found = append(found, fmt.Sprintf("%s (%s)", rows[i].ID, rows[i].URL()))
			}
		}
		if len(rows) < page {
			break
		}
	}
	if len(found) == 0 {
		return nil
	}
	more := ""
	if len(found) > mostNamed {
		more = fmt.Sprintf(" and %d more", len(found)-mostNamed)
		found = found[:mostNamed]
	}
	return postern.Errorf(postern.CodeNamedByPolicy, "%s is named by the traffic policies of %s%s", what, strings.Join(found, ", "), more)
}

// mentions tells whether a policy has an id in it.
func mentions(id string) func(policy string) bool {
	return func(policy string) bool { return strings.Contains(policy, id) }
}

// reads tells whether a policy reads a secret of a vault; any of it for "".
func reads(vault, name string) func(policy string) bool {
	last := "" // and whatever stands behind
	if name != "" {
		last = quoted(name) + `\s*\)`
	}
	pattern := regexp.MustCompile(`secrets\.get\s*\(\s*` + quoted(vault) + `\s*,\s*` + last)
	return pattern.MatchString
}

// quoted finds a text within quotes as YAML and JSON have them around an expression's.
func quoted(text string) string {
	const quotes = `["'\\]+`
	return quotes + regexp.QuoteMeta(text) + quotes
}
