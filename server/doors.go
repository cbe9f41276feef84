package server

import (
	"context"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/event"
)

// retryDoors is how long to wait before restrictions that could not be read are asked
// for again. Those known last stay in force.
const retryDoors = time.Second

// watchDoors keeps in memory who may come from where, by which names agents do, and who
// vouches for visitors, as the store has it. Such changes are rare: each has all of it
// read anew.
func (s *Server) watchDoors(ctx context.Context) error {
	changes := s.bus.Subscribe(64,
		event.IPRestrictionCreated, event.IPRestrictionUpdated, event.IPRestrictionDeleted,
		event.IPPolicyRuleCreated, event.IPPolicyRuleUpdated, event.IPPolicyRuleDeleted,
		event.IngressCreated, event.IngressUpdated, event.IngressDeleted,
		event.CertificateAuthorityCreated, event.CertificateAuthorityUpdated, event.CertificateAuthorityDeleted)
	defer changes.Close()
	for {
		for told := false; ; told = true {
			err := s.readDoors(ctx)
			if err == nil {
				break
			}
			if !told && ctx.Err() == nil {
				s.log.WarnContext(ctx, "IP restrictions and agent ingresses cannot be read; those known last stay in force", "error", postern.AsError(err))
			}
			select {
			case <-time.After(retryDoors):
			case <-ctx.Done():
				return nil
			}
		}
		// What a record says is read from the store, and so is what was missed.
		_, err := changes.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, event.ErrClosed):
			return nil
		case err != nil:
			return err
		}
	}
}

// readDoors puts into force what the store has.
func (s *Server) readDoors(ctx context.Context) error {
	restrictions, err := s.service.Restrictions(ctx)
	if err != nil {
		return err
	}
	ingresses, err := s.service.Ingresses(ctx)
	if err != nil {
		return err
	}
	s.doors.Set(access.NewTable(restrictions))
	s.doors.SetIngresses(access.NewIngresses(ingresses))
	return s.readAuthorities(ctx)
}
