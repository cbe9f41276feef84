package sessionmsg

import (
	"slices"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// maxSelfDescription bounds each text that an agent says of itself and that is
// kept for its session.
const maxSelfDescription = 4 << 10

// tooOld is what an operator reads of an agent that does not know a command.
const tooOld = "the agent is too old for this command"

// NewAuth makes the message that says h; offered are the names of extensions.
func NewAuth(h link.Hello, offered []string) Auth {
	a := Auth{
		Version:  []string{Version3, Version2},
		ClientID: h.ClientID,
		Extra: AuthExtra{
			OS:                      h.Agent.OS,
			Arch:                    h.Agent.Arch,
			Authtoken:               Token(h.Token.Reveal()),
			Version:                 h.Agent.Version,
			Hostname:                h.Agent.Hostname,
			UserAgent:               h.Agent.UserAgent,
			Metadata:                h.Agent.Metadata,
			Cookie:                  h.Cookie,
			HeartbeatInterval:       int64(h.Heartbeat),
			HeartbeatTolerance:      int64(h.Tolerance),
			RestartUnsupportedError: reasonFor(h, link.Restart),
			StopUnsupportedError:    reasonFor(h, link.Stop),
			UpdateUnsupportedError:  reasonFor(h, link.Update),
			ClientType:              h.Agent.ClientType,
			LegNumber:               uint32(max(h.Leg, 0)),
		},
	}
	if len(offered) > 0 || h.Gateway != nil {
		a.Extra.Postern = &Extensions{Names: offered}
	}
	if h.Gateway != nil {
		a.Extra.Postern.Gateway = &Gateway{Gateway: h.Gateway.Gateway, Instance: h.Gateway.Instance}
	}
	return a
}

func reasonFor(h link.Hello, action link.Action) *string {
	reason := h.Unsupported[action]
	return &reason
}

// Hello gives what the message says. An agent that speaks none of our versions is
// CodeAgentTooOld, or CodeServerTooOld where all of its own are newer; a leg number
// beyond reason is CodeProtocolViolation.
func (a *Auth) Hello() (link.Hello, error) {
	if a.ChosenVersion() == "" {
		code := postern.CodeAgentTooOld
		if a.newer() {
			code = postern.CodeServerTooOld
		}
		return link.Hello{}, postern.Errorf(code, "the agent speaks protocol versions %.100q; this server speaks 3 and 2", a.Version)
	}
	const maxLegs = 16
	if a.Extra.LegNumber >= maxLegs {
		return link.Hello{}, postern.Errorf(postern.CodeProtocolViolation, "LegNumber %d is not below %d", a.Extra.LegNumber, maxLegs)
	}
	e := &a.Extra
	return link.Hello{
		Token:    postern.Secret(e.Authtoken),
		ClientID: a.ClientID,
		Cookie:   e.Cookie,
		Leg:      int(e.LegNumber),
		Agent: postern.AgentInfo{
			ClientType: shorten(e.ClientType),
			UserAgent:  shorten(e.UserAgent),
			Version:    shorten(e.Version),
			OS:         shorten(e.OS),
			Arch:       shorten(e.Arch),
			Hostname:   shorten(e.Hostname),
			Metadata:   shorten(e.Metadata),
		},
		Heartbeat:   duration(e.HeartbeatInterval),
		Tolerance:   duration(e.HeartbeatTolerance),
		Unsupported: e.unsupported(),
		Gateway:     e.gateway(),
	}, nil
}

// gateway is what a connector says of its gateway, nil for an agent.
func (e *AuthExtra) gateway() *link.GatewayHello {
	if e.Postern == nil || e.Postern.Gateway == nil {
		return nil
	}
	return &link.GatewayHello{Gateway: shorten(e.Postern.Gateway.Gateway), Instance: shorten(e.Postern.Gateway.Instance)}
}

// ChosenVersion is the protocol version for the reply, "" if there is none in
// common.
func (a *Auth) ChosenVersion() string {
	for _, ours := range []string{Version3, Version2} {
		if slices.Contains(a.Version, ours) {
			return ours
		}
	}
	return ""
}

// newer tells whether all versions that the agent speaks are later than ours.
func (a *Auth) newer() bool {
	const newest = 3
	for _, version := range a.Version {
		if number, err := strconv.Atoi(version); err != nil || number <= newest {
			return false
		}
	}
	return len(a.Version) > 0
}

// unsupported keeps the reasons of what the agent cannot do.
func (e *AuthExtra) unsupported() map[link.Action]string {
	reasons := make(map[link.Action]string, 3)
	for action, said := range map[link.Action]*string{
		link.Restart: e.RestartUnsupportedError,
		link.Stop:    e.StopUnsupportedError,
		link.Update:  e.UpdateUnsupportedError,
	} {
		switch {
		case said == nil:
			reasons[action] = tooOld
		case *said != "":
			reasons[action] = shorten(oneLine(*said))
		}
	}
	return reasons
}

// NewAuthResp answers a with w.
func NewAuthResp(a *Auth, w link.Welcome, serverVersion string) AuthResp {
	return AuthResp{
		Version:  a.ChosenVersion(),
		ClientID: w.ClientID,
		Extra: AuthRespExtra{
			Version:          serverVersion,
			Region:           w.Region,
			Cookie:           w.Cookie,
			AccountName:      w.AccountName,
			Banner:           w.Banner,
			ConnectAddresses: []ConnectAddress{},
			AgentSessionID:   string(w.SessionID),
		},
	}
}

// RefuseAuth answers a with an error.
func RefuseAuth(a *Auth, why *postern.Error) AuthResp {
	version := a.ChosenVersion()
	if version == "" {
		version = Version3 // ngrok-rust needs one to read the error
	}
	return AuthResp{
		Version: version,
		Error:   ErrorText(why),
		Extra:   AuthRespExtra{ConnectAddresses: []ConnectAddress{}},
	}
}

// Welcome gives what the reply says, or its error. A version that NewAuth does not offer
// is CodeProtocolViolation: nobody knows what it means.
func (r *AuthResp) Welcome() (link.Welcome, error) {
	if err := ParseErrorText(r.Error, postern.CodeInternal); err != nil {
		return link.Welcome{}, err
	}
	if r.Version != Version3 && r.Version != Version2 {
		return link.Welcome{}, postern.Errorf(postern.CodeProtocolViolation,
			"the server chose protocol version %.20q; this agent offers 3 and 2", r.Version)
	}
	return link.Welcome{
		SessionID:   postern.SessionID(r.Extra.AgentSessionID),
		ClientID:    r.ClientID,
		Cookie:      r.Extra.Cookie,
		AccountName: r.Extra.AccountName,
		Region:      r.Extra.Region,
		Banner:      r.Extra.Banner,
	}, nil
}

// Patch gives what the message says.
func (p *PatchTunnelState) Patch() link.Patch {
	return link.Patch{
		EndpointID:    postern.EndpointID(p.TunnelID),
		Name:          p.Name,
		Description:   p.Description,
		Metadata:      p.Metadata,
		Pooling:       p.PoolingEnabled,
		TrafficPolicy: p.TrafficPolicy,
	}
}

func shorten(text string) string { return shortenTo(text, maxSelfDescription) }

func duration(nanoseconds int64) time.Duration { return time.Duration(max(nanoseconds, 0)) }
