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
func Open(ctx context.Context, o Owner, h link.Header, first []byte) (s link.Stream, m Member, end func(ok bool), err error) {
	var tried []postern.EndpointID
	var skip func(Member) bool // nil at first: the common case allocates nothing
	for {
		m, pickErr := o.Pick(skip)
		if pickErr != nil {
			if err == nil {
				err = pickErr
			}
			return nil, nil, nil, err
		}
		end := m.Begin()
		s, openErr := m.Open(ctx, h, first)
		if openErr == nil {
			return s, m, end, nil
		}
		next := nextMayHelp(openErr)
		end(!next)
		if !next {
			return nil, nil, nil, openErr
		}
		err = openErr
		tried = append(tried, m.ID())
		skip = func(m Member) bool { return slices.Contains(tried, m.ID()) }
	}
}

func nextMayHelp(err error) bool {
	return postern.HasCode(err, postern.CodeLinkLost) || postern.HasCode(err, postern.CodeLinkDraining)
}
