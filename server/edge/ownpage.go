package edge

import (
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/errorpage"
)

const (
	typeHTML = "text/html; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
)

// What pages may load. Those of an owner may have pictures, fonts and styles from
// elsewhere, and no scripts: a page that stands in for the site has the site's origin.
const (
	loadsNothing  = "default-src 'none'; style-src 'unsafe-inline'"
	loadsPictures = "default-src 'none'; style-src 'unsafe-inline' https:; img-src data: https:; font-src data: https:; base-uri 'none'; form-action 'none'"
)

func (p page) mayLoad(contentType string) string {
	if contentType == typeHTML && p.own != nil && p.own.HTML != nil {
		return loadsPictures
	}
	return loadsNothing
}

// renderOwn writes the owner's page in a form, where there is one. JSON is for programs,
// which know the server's.
func (p page) renderOwn(kind form) (contentType string, body []byte, ok bool) {
	if p.own == nil {
		return "", nil, false
	}
	values := errorpage.Values{
		Code: string(p.Code), Status: strconv.Itoa(p.Status), Title: p.Title, RequestID: string(p.RequestID),
		Host: string(p.host), Retry: strconv.Itoa(p.Retry),
	}
	switch {
	case kind == asHTML && p.own.HTML != nil:
		return typeHTML, p.own.HTML.Render(&values, string(p.Wire)), true
	case kind == asText && p.own.Text != nil:
		return typeText, p.own.Text.Render(&values, string(p.Wire)), true
	}
	return "", nil, false
}

// pageSets yields the pages that count for the exchange: the endpoint's, and then those of
// the domains that hold the host, the nearest first.
func (x *Exchange) pageSets() iter.Seq[*errorpage.Set] {
	return func(yield func(*errorpage.Set) bool) {
		var account postern.AccountID
		if x.route != nil {
			account = x.route.Account
			if x.route.Pages != nil && !yield(x.route.Pages) {
				return
			}
		}
		for set := range x.edge.config.Pages.Above(x.host, account) {
			if !yield(set) {
				return
			}
		}
	}
}

// ownPage is the page of the owner's for an error, nil for none. Callers of gRPC read no
// pages.
func (x *Exchange) ownPage(code postern.Code) *errorpage.Page {
	for set := range x.pageSets() {
		if own := set.Page(code); own != nil && !x.isGRPC() {
			return own
		}
	}
	return nil
}

func (x *Exchange) isGRPC() bool {
	kinds := x.head.values("Content-Type")
	return len(kinds) > 0 && strings.HasPrefix(strings.ToLower(kinds[0]), "application/grpc")
}

// closed refuses a visitor while the endpoint, or a domain that holds the host, is under
// maintenance.
func (x *Exchange) closed() error {
	if (x.route == nil || !x.route.Pages.Switched()) && !x.edge.config.Pages.Switched() {
		return nil // the usual case costs nothing
	}
	var client netip.Addr
	for set := range x.pageSets() {
		if !set.Switched() {
			continue
		}
		if !client.IsValid() {
			x.client = x.clientFacts()
			client = x.Client()
		}
		if retry, closed := set.Closed(client); closed {
			x.retry = retry
			return postern.Errorf(postern.CodeMaintenance, "%s is closed for maintenance; come back in %v", x.host, retry.Round(time.Second))
		}
	}
	return nil
}
