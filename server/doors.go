package server

import (
	"context"

	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/event"
)

// watchDoors keeps in memory who may come from where, by which names agents do, which
// addresses policies may name, and who
// vouches for visitors, as the store has it. Such changes are rare: each has all of it
// read anew.
func (s *Server) watchDoors(ctx context.Context) error {
	return s.follow(ctx, "IP restrictions and agent ingresses cannot be read; those known last stay in force", s.readDoors,
		event.IPRestrictionCreated, event.IPRestrictionUpdated, event.IPRestrictionDeleted,
		event.IPPolicyCreated, event.IPPolicyDeleted,
		event.IPPolicyRuleCreated, event.IPPolicyRuleUpdated, event.IPPolicyRuleDeleted,
		event.IngressCreated, event.IngressUpdated, event.IngressDeleted,
		event.CertificateAuthorityCreated, event.CertificateAuthorityUpdated, event.CertificateAuthorityDeleted)
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
	policies, err := s.service.AddressPolicies(ctx)
	if err != nil {
		return err
	}
	s.doors.SetPolicies(access.NewPolicies(policies))
	s.doors.Set(access.NewTable(restrictions))
	s.doors.SetIngresses(access.NewIngresses(ingresses))
	return s.readAuthorities(ctx)
}
