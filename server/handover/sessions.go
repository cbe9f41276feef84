package handover

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// listTime is how long the other processes have to say which sessions they have: who
	// waits for that looks at a list, and one that hangs must not take it away.
	listTime = 2 * time.Second
	// mostListed bounds the texts of the sessions in one reply, besides the last's.
	mostListed = 256 << 10
	// mostAgentText is how much of each text of an agent is passed on.
	mostAgentText = 4 << 10
)

// listSessions makes a reply of the sessions behind one, in the order of their ids.
func listSessions(sessions []postern.Session, after postern.SessionID) reply {
	slices.SortFunc(sessions, func(a, b postern.Session) int { return cmp.Compare(a.ID, b.ID) })
	var r reply
	size := 0
	for _, s := range sessions {
		if s.ID <= after {
			continue
		}
		if size >= mostListed {
			r.More = true
			break
		}
		for _, text := range []*string{&s.Agent.ClientType, &s.Agent.UserAgent, &s.Agent.Version, &s.Agent.OS, &s.Agent.Arch, &s.Agent.Hostname, &s.Agent.Metadata} {
			*text = clip(*text, mostAgentText)
			size += len(*text)
		}
		size += len(s.RemoteAddr) + len(s.Transport) + len(s.Region)
		r.Sessions = append(r.Sessions, s)
	}
	return r
}

// Sessions lists the sessions of an account that the other processes of the node have,
// in no order. What a process does not say in time is missing.
func (p *Peers) Sessions(ctx context.Context, account postern.AccountID) []postern.Session {
	var all []postern.Session
	for _, sessions := range p.sessions(ctx, account) {
		all = append(all, sessions...)
	}
	return all
}

func (p *Peers) sessions(ctx context.Context, account postern.AccountID) map[*peer][]postern.Session {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	type answer struct {
		of       *peer
		sessions []postern.Session
	}
	others := p.others()
	answers := make(chan answer, len(others))
	for _, one := range others {
		go func() { answers <- answer{one, one.sessionsOf(ctx, account)} }()
	}
	all := make(map[*peer][]postern.Session, len(others))
	for range others {
		a := <-answers
		all[a.of] = a.sessions
	}
	return all
}

func (p *peer) sessionsOf(ctx context.Context, account postern.AccountID) []postern.Session {
	var all []postern.Session
	for more := true; more; {
		var after postern.SessionID
		if len(all) > 0 {
			after = all[len(all)-1].ID
		}
		var r reply
		if err := p.call(ctx, call{Op: opList, Account: account, Session: after}, &r); err != nil {
			p.peers.config.Logger.WarnContext(ctx, "another process of the node did not say which sessions it has", "process", p.id, "error", err)
			return all
		}
		all = append(all, r.Sessions...)
		more = r.More && len(r.Sessions) > 0
	}
	return all
}

// Command has the agent of an account's session, which another process of the node has,
// do something; errors are those of control's Command.
func (p *Peers) Command(ctx context.Context, account postern.AccountID, id postern.SessionID, command link.Command) error {
	for one, sessions := range p.sessions(ctx, account) {
		if !slices.ContainsFunc(sessions, func(s postern.Session) bool { return s.ID == id }) {
			continue
		}
		err := one.call(ctx, call{Op: opCommand, Session: id, Command: &command}, nil)
		if postern.HasCode(err, postern.CodeLinkLost) {
			return postern.Errorf(postern.CodeCommandUnanswered, "the process that has the session did not answer").Because(err)
		}
		return err
	}
	return postern.Errorf(postern.CodeNotFound, "no session %q is connected", clip(string(id), mostAgentText))
}
