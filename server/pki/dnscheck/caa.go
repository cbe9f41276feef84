package dnscheck

import (
	"context"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
)

// CAAWant is who is to issue a certificate, and how.
type CAAWant struct {
	Domain     postern.Hostname
	Issuers    []string         // by which the authority is known, such as letsencrypt.org
	AccountURI string           // of the account at the authority; "": any
	Methods    []string         // of validation, such as dns-01; none: any
	Own        postern.Hostname // the server's zone of targets, which has no CAA records; "": none
}

// CAA looks for the CAA records that count for a domain: its own, else those of the
// nearest name above (RFC 8659 §3).
func CAA(ctx context.Context, l Lookup, w CAAWant) Finding {
	base := fqdn(strings.TrimPrefix(string(w.Domain), "*."))
	for at := base; at != "" && at != "."; at = parent(at) {
		records, err := caaAt(ctx, l, at, w.Own)
		if err != nil {
			return failed(postern.CodeCAALookupFailed, "CAA", at, err)
		}
		if len(records) > 0 {
			return judge(records, at, w)
		}
	}
	return found("CAA", base, "no CAA record restricts who may issue certificates")
}

// caaAt gives a name's records, or those of where its CNAME records lead.
func caaAt(ctx context.Context, l Lookup, name string, own postern.Hostname) ([]*miekg.CAA, error) {
	for range mostHops {
		answer, err := l.Records(ctx, name, miekg.TypeCAA)
		if err != nil {
			return nil, err
		}
		if records := of[*miekg.CAA](answer, name); len(records) > 0 {
			return records, nil
		}
		alias := of[*miekg.CNAME](answer, name)
		if len(alias) == 0 {
			return nil, nil
		}
		name = alias[0].Target
		if own != "" && miekg.IsSubDomain(fqdn(own), name) {
			return nil, nil
		}
	}
	return nil, &Failure{Name: name, Reason: "its CNAME records go on and on"}
}

// judge decides what records mean for a certificate.
func judge(records []*miekg.CAA, at string, w CAAWant) Finding {
	var issue, wild []*miekg.CAA
	var have []string
	for _, record := range records {
		have = append(have, strings.TrimSpace(strings.TrimPrefix(record.String(), record.Hdr.String())))
		switch strings.ToLower(record.Tag) {
		case "issue":
			issue = append(issue, record)
		case "issuewild":
			wild = append(wild, record)
		case "iodef", "contactemail", "contactphone", "issuevmc", "issuemail":
		default:
			if record.Flag&128 != 0 {
				return wrong(postern.CodeCAACritical, "CAA", at, "%s has a critical CAA record with the property %q, which no authority may pass over", bare(at), record.Tag).has(have...)
			}
		}
	}
	if w.Domain.Wildcard() && len(wild) > 0 {
		issue = wild
	}
	if len(issue) == 0 {
		return found("CAA", at, "its CAA records restrict nobody").has(have...)
	}
	worst := wrong(postern.CodeCAAForbidden, "CAA", at, "the CAA records of %s let others issue certificates, and not %s; add: %s. CAA 0 issue %q", bare(at), strings.Join(w.Issuers, " or "), bare(at), first(w.Issuers))
	for _, record := range issue {
		code, why := permits(record.Value, w)
		if code == "" {
			return found("CAA", at, "its CAA records let %s issue certificates", first(w.Issuers)).has(have...)
		}
		if code != postern.CodeCAAForbidden {
			worst = wrong(code, "CAA", at, "a CAA record of %s %s", bare(at), why)
		}
	}
	return worst.has(have...)
}

func first(all []string) string {
	if len(all) == 0 {
		return "the authority"
	}
	return all[0]
}

// permits tells whether a value lets our authority issue; else which code says why not.
func permits(value string, w CAAWant) (code postern.Code, why string) {
	parts := strings.Split(value, ";")
	issuer := strings.ToLower(strings.TrimSpace(parts[0]))
	parameters := make(map[string]string)
	for _, part := range parts[1:] {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, text, is := strings.Cut(part, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, twice := parameters[key]; !is || key == "" || twice || strings.ContainsAny(key, " \t") {
			return postern.CodeCAAMalformed, "cannot be read: " + value
		}
		parameters[key] = strings.TrimSpace(text)
	}
	if strings.ContainsAny(issuer, " \t=") {
		return postern.CodeCAAMalformed, "cannot be read: " + value
	}
	if !slices.Contains(w.Issuers, issuer) {
		return postern.CodeCAAForbidden, ""
	}
	if uri := parameters["accounturi"]; uri != "" && w.AccountURI != "" && uri != w.AccountURI {
		return postern.CodeCAAAccount, "is for another account (" + uri + "); this server's is " + w.AccountURI
	}
	if listed := parameters["validationmethods"]; listed != "" && len(w.Methods) > 0 {
		allowed := strings.Split(strings.ToLower(listed), ",")
		for i := range allowed {
			allowed[i] = strings.TrimSpace(allowed[i])
		}
		if !slices.ContainsFunc(w.Methods, func(m string) bool { return slices.Contains(allowed, m) }) {
			return postern.CodeCAAMethods, "allows validation by " + listed + " only; this server uses " + strings.Join(w.Methods, ", ")
		}
	}
	return "", ""
}
