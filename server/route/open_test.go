package route_test

import (
	"context"
	"net"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// member opens streams, or fails to.
type member struct {
	id     postern.EndpointID
	fail   postern.Code
	opened int
	busy   int
	health []bool
}

type stream struct{ net.Conn }

func (stream) CloseWrite() error    { return nil }
func (stream) Reset(*postern.Error) {}

func (m *member) ID() postern.EndpointID           { return m.id }
func (m *member) Options() postern.EndpointOptions { return postern.EndpointOptions{} }
func (m *member) Meter() *quota.Meter              { return nil }
func (m *member) Policy() *policy.Program          { return nil }
func (m *member) Transport() string                { return "test" }
func (m *member) Done() <-chan struct{}            { return nil }
func (m *member) Begin() func(bool) {
	m.busy++
	return func(ok bool) { m.busy--; m.health = append(m.health, ok) }
}

func (m *member) Open(context.Context, link.Header, []byte) (link.Stream, error) {
	m.opened++
	if m.fail != "" {
		return nil, postern.Errorf(m.fail, "member %s", m.id)
	}
	return stream{}, nil
}

// inOrder picks the first that is not skipped.
type inOrder []*member

func (o inOrder) Pick(skip func(route.Member) bool) (route.Member, error) {
	for _, m := range o {
		if skip == nil || !skip(m) {
			return m, nil
		}
	}
	return nil, postern.Errorf(postern.CodeEndpointOffline, "nobody is left")
}

func TestOpen(t *testing.T) {
	cases := map[string]struct {
		members []postern.Code // how each fails; "" is not
		picked  postern.EndpointID
		err     postern.Code
		opened  []int
	}{
		"the first":         {[]postern.Code{"", ""}, "0", "", []int{1, 0}},
		"after a lost link": {[]postern.Code{postern.CodeLinkLost, ""}, "1", "", []int{1, 1}},
		"after two":         {[]postern.Code{postern.CodeLinkLost, postern.CodeLinkDraining, ""}, "2", "", []int{1, 1, 1}},
		"all draining":      {[]postern.Code{postern.CodeLinkDraining, postern.CodeLinkDraining}, "", postern.CodeLinkDraining, []int{1, 1}},
		// Something may have been sent, or another agent is as full: not tried again.
		"full":    {[]postern.Code{postern.CodeStreamLimit, ""}, "", postern.CodeStreamLimit, []int{1, 0}},
		"refused": {[]postern.Code{postern.CodeLinkLost, postern.CodeStreamRefused, ""}, "", postern.CodeStreamRefused, []int{1, 1, 0}},
		"nobody":  {nil, "", postern.CodeEndpointOffline, nil},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			var pool inOrder
			for i, code := range c.members {
				pool = append(pool, &member{id: postern.EndpointID(rune('0' + i)), fail: code})
			}
			s, m, end, err := route.Open(t.Context(), pool, link.Header{}, nil)
			if c.err != "" {
				if !postern.HasCode(err, c.err) || s != nil || end != nil {
					t.Fatalf("got %v, %v; want %s", s, err, c.err)
				}
			} else {
				if err != nil || m.ID() != c.picked {
					t.Fatalf("picked %v, %v; want %s", m, err, c.picked)
				}
				end(true)
			}
			for i, m := range pool {
				if m.opened != c.opened[i] || m.busy != 0 {
					t.Errorf("member %d: opened %d times, busy %d", i, m.opened, m.busy)
				}
				if lost := m.fail == postern.CodeLinkLost || m.fail == postern.CodeLinkDraining; m.opened > 0 && m.health[0] == lost {
					t.Errorf("member %d: health %v after %q", i, m.health, m.fail)
				}
			}
		})
	}
}

func TestOpenAllocatesNothingOfItsOwn(t *testing.T) {
	pool := inOrder{{id: "0"}}
	var quiet route.Owner = quietPool{quietMember{pool[0], func(bool) {}, stream{}}}
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = route.Open(context.Background(), quiet, link.Header{}, nil) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

type quietMember struct {
	*member
	end func(bool)
	s   link.Stream
}

func (m quietMember) Open(context.Context, link.Header, []byte) (link.Stream, error) { return m.s, nil }

func (m quietMember) Begin() func(bool) { return m.end }

type quietPool struct{ m route.Member }

func (p quietPool) Pick(func(route.Member) bool) (route.Member, error) { return p.m, nil }
