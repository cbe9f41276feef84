package server

import (
	"context"
	"time"

	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/event"
)

// lookPages is how often error pages are read though nothing is told of them: another
// process may have changed them.
const lookPages = time.Minute

// watchPages keeps in force the error pages of reserved domains, and which of them are
// under maintenance, as the store has it.
func (s *Server) watchPages(ctx context.Context) error {
	return s.followEvery(ctx, lookPages, "error pages cannot be read; those known last stay in force", s.readPages,
		event.DomainCreated, event.DomainUpdated, event.DomainDeleted)
}

// readPages puts into force what the store has. Pages that cannot be used, which were
// usable when they were stored, leave everything to the server's own.
func (s *Server) readPages(ctx context.Context) error {
	rows, err := s.service.DomainsWithPages(ctx)
	if err != nil {
		return err
	}
	domains := make([]errorpage.Domain, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		pages, err := errorpage.Compile(row.Pages)
		if err != nil {
			s.log.ErrorContext(ctx, "the error pages of a reserved domain cannot be used", "domain", row.Domain, "error", err)
			continue
		}
		domains = append(domains, errorpage.Domain{Name: row.Domain, Account: row.Account, Pages: pages})
	}
	s.pages.Set(errorpage.NewTable(domains))
	return nil
}
