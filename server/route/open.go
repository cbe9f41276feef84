package route

import (
	"context"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Open picks a member of o and opens a stream to it; first travels with the open. A
// member whose session is lost or draining was sent nothing, so the next one is
// tried; no other failure is tried again. It blocks as link.Opener's Open does.
//
// The caller must call end exactly once, when the connection or request is over: with
// ok when the service behind the member could be reached, without when not. On error
// end is nil; the error is that of the last member tried, or CodeEndpointOffline
// when there is none.
func Open(ctx context.Context, o Owner, h link.Header, first []byte) (link.Stream, Member, func(ok bool), error) {
	m, err := o.Pick(nil)
	if err != nil {
		return nil, nil, nil, err
	}
	s, end, err := open(ctx, m, h, first)
	if err == nil {
		return s, m, end, nil
	}
	if !nextMayHelp(err) {
		return nil, nil, nil, err
	}
	return openAnother(ctx, o, m, err, h, first)
}

// openAnother goes on where Open failed with the first member. It is a function of
// its own so that the common case need not allocate what is remembered here.
func openAnother(
	ctx context.Context, o Owner, failed Member, err error, h link.Header, first []byte,
) (link.Stream, Member, func(ok bool), error) {
	tried := []postern.EndpointID{failed.ID()}
	skip := func(m Member) bool { return slices.Contains(tried, m.ID()) }
	for nextMayHelp(err) {
		m, pickErr := o.Pick(skip)
		if pickErr != nil {
			break // nobody is left: the link's own error says more
		}
		var s link.Stream
		var end func(ok bool)
		if s, end, err = open(ctx, m, h, first); err == nil {
			return s, m, end, nil
		}
		tried = append(tried, m.ID())
	}
	return nil, nil, nil, err
}

// open tries one member. A lost link and one that drains tell against its health: nobody
// else should be sent there. One that is full works.
func open(ctx context.Context, m Member, h link.Header, first []byte) (link.Stream, func(ok bool), error) {
	end := m.Begin()
	s, err := m.Open(ctx, h, first)
	if err != nil {
		end(!nextMayHelp(err))
		return nil, nil, err
	}
	return s, end, nil
}

func nextMayHelp(err error) bool {
	return postern.HasCode(err, postern.CodeLinkLost) || postern.HasCode(err, postern.CodeLinkDraining)
}
