package policy

import (
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/server/policy/expression"
)

// Termination is how the TLS of a connection is to be ended. It can be compared.
type Termination struct {
	// Least and Most are versions, as crypto/tls numbers them.
	Least, Most uint16
	// CertificatePEM and Key are what visitors are shown; "" is the server's own for the
	// name.
	CertificatePEM string
	Key            postern.Secret
	MutualTLS      postern.MutualTLS
}

// EndsTLS tells whether some rule says how TLS is to be ended.
func (p *Program) EndsTLS() bool { return p != nil && p.endsTLS }

// ShowsServers tells whether some rule ends TLS with the certificate that the server has
// for the name.
func (p *Program) ShowsServers() bool { return p != nil && p.showsServers }

// Lacks gives problems for the certificate authorities ("ca_…") that the program names and
// exists does not know; nil for none.
func (p *Program) Lacks(exists func(id string) bool) Problems {
	var all Problems
	for _, n := range p.authorities {
		if !exists(n.id) && len(all) < mostProblems {
			n.at.Message = "the account has no certificate authority " + clip(n.id) + "; upload it, or give its certificate as PEM"
			all = append(all, n.at)
		}
	}
	return all
}

// termination is terminate-tls.
type termination struct {
	least, most      uint16
	certificate, key *expression.Template
	authorities      []*expression.Template
	asks             bool
	mode             postern.ClientCertificateMode
}

func (t *termination) run(e *Evaluation) (Verdict, error) {
	if e.ended {
		return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "terminate-tls was met twice: a rule before has ended the connection's TLS")
	}
	asked, err := t.fill(e)
	if err != nil {
		return Verdict{}, err
	}
	if err := e.endTLS(asked); err != nil {
		return Verdict{}, err
	}
	if state := e.subject.Connection.TLS(); state != nil {
		e.result("terminate_tls", tlsFacts{state, e.subject.Connection})
	}
	return Verdict{}, nil
}

// fill gives what is asked of this connection. What comes out empty would be less than was
// meant, and is an error.
func (t *termination) fill(e *Evaluation) (*Termination, error) {
	made := &Termination{Least: t.least, Most: t.most}
	certificate, err := e.whole(fieldCertificate, t.certificate)
	if err != nil {
		return nil, err
	}
	key, err := e.whole(fieldKey, t.key)
	if err != nil {
		return nil, err
	}
	made.CertificatePEM, made.Key = certificate, postern.Secret(key)
	if !t.asks {
		return made, nil
	}
	made.MutualTLS.Mode = t.mode
	var texts, ids []string
	for _, template := range t.authorities {
		text, err := e.whole(fieldAuthorities, template)
		if err != nil {
			return nil, err
		}
		if text = strings.TrimSpace(text); authorityID.MatchString(text) {
			ids = append(ids, text)
			continue
		}
		texts = append(texts, text)
	}
	made.MutualTLS.AuthoritiesPEM, made.MutualTLS.AuthorityIDs = strings.Join(texts, "\n"), strings.Join(ids, ",")
	return made, nil
}

// whole is fill for a text that must not be empty where there is a template.
func (e *Evaluation) whole(name string, template *expression.Template) (string, error) {
	text, err := e.fill(template)
	if err == nil && template != nil && strings.TrimSpace(text) == "" {
		err = postern.Errorf(postern.CodePolicyFailed, "%s of terminate-tls comes out empty", name)
	}
	return text, err
}

// endTLS has the connection's TLS ended; t is nil where no rule has asked for it.
func (e *Evaluation) endTLS(t *Termination) error {
	e.ended = true
	if e.subject.EndTLS == nil {
		return nil
	}
	return e.subject.EndTLS(t)
}

// endsOnce notes that a rule ends TLS, and refuses a second end that some connection would
// surely meet.
func (c *compiler) endsOnce(t *termination, r *rule, at *node, where string) {
	again := slices.ContainsFunc(r.actions, func(s step) bool {
		_, ends := s.action.(*termination)
		return ends
	})
	if c.ended || again {
		c.report(postern.CodePolicyUnreachable, at, where+".type", "TLS has ended before: a connection may meet terminate-tls once")
	}
	c.ended = c.ended || len(r.expressions) == 0
	c.program.showsServers = c.program.showsServers || t.certificate == nil
	c.program.endsTLS, c.program.tlsAt = true, len(c.program.phases[expression.Connect])+1
}

// endBefore has TLS ended as it would be without a policy, once no rule is left that could
// say how: what stands behind sees the connection as it is then.
func (e *Evaluation) endBefore(at expression.Phase, i int) error {
	if at != expression.Connect || !e.program.endsTLS || e.ended || i < e.program.tlsAt {
		return nil
	}
	return e.endTLS(nil)
}

// Identity reads what visitors are to be shown; nil for the server's own. Errors are
// CodeMaterialInvalid.
func (t *Termination) Identity() (*material.Identity, error) {
	if t.CertificatePEM == "" {
		return nil, nil
	}
	return readIdentity(t.CertificatePEM, t.Key)
}
