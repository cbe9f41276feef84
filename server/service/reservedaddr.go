package service

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// PortRange is First to Last, both included; the zero value is no port at all.
type PortRange struct{ First, Last uint16 }

// ReservedAddrs are the use cases of reserved addresses.
type ReservedAddrs = Collection[store.ReservedAddr, resource.ReservedAddr, resource.ReservedAddrCreate, resource.ReservedAddrUpdate, *store.ReservedAddr]

// ReservedAddrs returns the use cases of reserved addresses.
func (s *Service) ReservedAddrs() *ReservedAddrs {
	definition := resource.ReservedAddrs().Definition
	return &ReservedAddrs{
		service: s, definition: definition, rows: store.Tx.ReservedAddrs, empty: postern.CodeAddressUnchanged,
		events: eventTypes{event.AddressCreated, event.AddressUpdated, event.AddressDeleted},
		stored: map[string]string{"region": "region"},
		build:  s.buildAddress, release: releaseAddress,
		change: func(_ *draft, _ Caller, row *store.ReservedAddr, u resource.ReservedAddrUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		show: func(_ reader, row *store.ReservedAddr) (resource.ReservedAddr, error) {
			return resource.ReservedAddr{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta), Region: row.Region,
				Addr: net.JoinHostPort(string(row.Host), strconv.Itoa(int(row.Port))),
			}, nil
		},
	}
}

// buildAddress chooses a port that nobody has, by reservation or by use.
func (s *Service) buildAddress(d *draft, _ Caller, row *store.ReservedAddr, c resource.ReservedAddrCreate) error {
	row.Description, row.Metadata = c.Description, c.Metadata
	row.Host, row.Region = "tcp."+s.domains[0], c.Region
	if row.Region == "" {
		row.Region = s.region()
	} else if !slices.Contains(s.regions(), row.Region) {
		return postern.Errorf(postern.CodeRegionInvalid, "the region is %.60q; there are: %s", row.Region, strings.Join(s.regions(), ", "))
	}
	first, last := s.tcpPorts.First, s.tcpPorts.Last
	if first == 0 || first > last {
		return postern.Errorf(postern.CodeNoAddressFree, "this server has no ports for TCP endpoints")
	}
	taken := make(map[uint16]bool)
	held, err := heldPortsIn(d.ctx, d.Tx, postern.TCP, first, last, d.now.Add(-Reservation))
	if err != nil {
		return err
	}
	for _, p := range held {
		taken[p.Port] = true
	}
	for _, e := range s.inUse() {
		if e.URL.Scheme == postern.TCP {
			taken[e.URL.Port] = true
		}
	}
	size := int(last-first) + 1
	start := rand.IntN(size) //nolint:gosec // no secret: everybody sees the port
	for i := range size {
		port := first + uint16((start+i)%size) //nolint:gosec // below size
		if !taken[port] {
			row.Port = port
			return nil
		}
	}
	return postern.Errorf(postern.CodeNoAddressFree, "every port from %d to %d is taken", first, last)
}

// heldPortsIn returns the ports of a scheme and a range that somebody holds, by use since or by
// reservation, of which there are for tcp only. A reserved port belongs to no series.
func heldPortsIn(ctx context.Context, tx store.Tx, scheme postern.Scheme, first, last uint16, since time.Time) ([]store.Port, error) {
	held, err := tx.Ports().Held(ctx, scheme, first, last, since)
	if err != nil || scheme != postern.TCP {
		return held, err
	}
	err = eachRow(ctx, tx.ReservedAddrs(), portsFrom(first, last), func(row *store.ReservedAddr) error {
		if !slices.ContainsFunc(held, func(p store.Port) bool { return p.Port == row.Port && p.Account == row.Account }) {
			held = append(held, store.Port{PortKey: store.PortKey{Scheme: scheme, Port: row.Port}, Account: row.Account})
		}
		return nil
	})
	return held, err
}

func portsFrom(first, last uint16) store.Filter {
	return store.And{
		store.Compare{Field: "port", Op: store.AtLeast, Value: int64(first)},
		store.Compare{Field: "port", Op: store.AtMost, Value: int64(last)},
	}
}

// reservedPort returns the reservation of a port, or the zero value.
func reservedPort(ctx context.Context, tx store.Tx, port store.PortKey) (store.ReservedAddr, error) {
	if port.Scheme != postern.TCP {
		return store.ReservedAddr{}, nil
	}
	found, err := tx.ReservedAddrs().List(ctx, store.Page{Limit: 1, Where: store.Equal("port", int64(port.Port))})
	if err != nil || len(found) == 0 {
		return store.ReservedAddr{}, err
	}
	return found[0], nil
}
