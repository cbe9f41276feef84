package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/store"
)

// setErrorPages changes what is stored of error pages and maintenance; what is nil stays.
// Errors are CodeValueInvalid.
func setErrorPages(to *postern.ErrorPages, pages *[]resource.ErrorPage, m *resource.MaintenanceUpdate) error {
	if pages != nil {
		to.Pages = nil
		for _, p := range *pages {
			to.Pages = append(to.Pages, postern.ErrorPage(p))
		}
	}
	switch {
	case m == nil:
	case *m == resource.MaintenanceUpdate{}: // null
		to.Maintenance = postern.Maintenance{}
	default:
		set(&to.Maintenance.Enabled, m.Enabled)
		set(&to.Maintenance.RetryAfter, m.RetryAfter)
		set(&to.Maintenance.AllowCIDRs, m.AllowCIDRs)
	}
	_, err := errorpage.Compile(*to)
	return err
}

// setEndpointPages is setErrorPages for a cloud endpoint, whose URL is known already.
func setEndpointPages(row *store.CloudEndpoint, pages *[]resource.ErrorPage, m *resource.MaintenanceUpdate) error {
	if err := setErrorPages(&row.Pages, pages, m); err != nil || row.Pages.Empty() {
		return err
	}
	return errorpage.CheckURL(row.URL())
}

// showErrorPages gives zero values for what was never set: then the API shows what clients of
// ngrok's expect, and nothing more.
func showErrorPages(of postern.ErrorPages) ([]resource.ErrorPage, resource.Maintenance) {
	if of.Empty() {
		return nil, resource.Maintenance{}
	}
	pages := make([]resource.ErrorPage, len(of.Pages))
	for i, p := range of.Pages {
		pages[i] = resource.ErrorPage(p)
	}
	m := resource.Maintenance(of.Maintenance)
	if of.Maintenance.Empty() {
		return pages, resource.Maintenance{}
	}
	if m.AllowCIDRs == nil {
		m.AllowCIDRs = []string{}
	}
	return pages, m
}

// DomainsWithPages returns the reserved domains of all accounts that have error pages, or
// something to say about maintenance.
func (s *Service) DomainsWithPages(ctx context.Context) ([]store.ReservedDomain, error) {
	var all []store.ReservedDomain
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		return eachRow(ctx, tx.ReservedDomains(), store.Compare{Field: "pages", Op: store.Differs, Value: nil}, func(row *store.ReservedDomain) error {
			all = append(all, *row)
			return nil
		})
	})
	return all, err
}
