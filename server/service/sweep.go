package service

import "context"

// Sweep removes reservations that lapsed and events past their retention. The Service
// does so by itself about once an hour.
func (s *Service) Sweep(ctx context.Context) error {
	// change writes the times of use that wait first, so nothing in use is removed.
	return s.change(ctx, func(d *draft) error {
		lapsed := d.now.Add(-Reservation)
		if _, err := d.Names().Expire(d.ctx, lapsed); err != nil {
			return err
		}
		if _, err := d.Ports().Expire(d.ctx, lapsed); err != nil {
			return err
		}
		_, err := d.Outbox().Prune(d.ctx, d.now.Add(-retention))
		return err
	})
}
