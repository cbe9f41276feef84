package acme

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	acmewire "github.com/mholt/acmez/v3/acme"

	"github.com/postern-dev/postern"
)

// Failure is why a certificate could not be had, in words for whoever holds the domain or
// runs the server.
type Failure struct {
	Code    postern.Code
	Message string // what is wrong and what to do about it
	// Records tells that it is for the domain's owner to change records, or what they lead to.
	Records bool
	// After is when the authority wants to hear of it again; zero: it did not say.
	After time.Time
	// Elsewhere tells that another authority may well issue the certificate.
	Elsewhere bool

	cause error
}

// Error implements error.
func (f *Failure) Error() string { return f.Message + " (" + string(f.Code) + ")" }

// Unwrap gives what the authority or the network said.
func (f *Failure) Unwrap() error { return f.cause }

// failed makes a Failure that another authority may not have.
func failed(code postern.Code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...), Elsewhere: true}
}

// mostDetail bounds what is quoted of an authority.
const mostDetail = 400

// explain makes a Failure of whatever went wrong with an order.
func explain(err error, directory string, proof Proof, heard *hearing) *Failure {
	failure, ok := errors.AsType[*Failure](err)
	if !ok {
		if problem, is := errors.AsType[acmewire.Problem](err); is {
			failure = explainProblem(problem, nameOf(directory), proof)
		} else {
			failure = explainOther(err, nameOf(directory))
		}
	}
	copied := *failure
	copied.cause, copied.After = err, heard.retryAfter()
	return &copied
}

func explainOther(err error, authority string) *Failure {
	switch own, is := errors.AsType[*postern.Error](err); {
	case is:
		return &Failure{Code: own.Code, Message: "The server could not prepare the proof: " + own.Text()}
	case errors.Is(err, context.Canceled):
		return &Failure{Code: postern.CodeAuthorityRefused, Message: "The server was stopped before the certificate was there; it goes on with it by itself"}
	case errors.Is(err, context.DeadlineExceeded):
		return failed(postern.CodeAuthorityUnreachable, "%s took too long to answer; it is asked again", authority)
	}
	return failed(postern.CodeAuthorityUnreachable, "%s cannot be reached, or does not answer as an ACME directory does: %s", authority, clip(innermost(err)))
}

// innermost is the last part of a chain of errors, without the URLs of our account.
func innermost(err error) string {
	if address, ok := errors.AsType[*url.Error](err); ok {
		return address.Err.Error()
	}
	return err.Error()
}

// explainProblem puts what an authority says into words. One problem with several parts is
// told by the first of them.
func explainProblem(p acmewire.Problem, authority string, proof Proof) *Failure {
	name := ""
	if authorization, ok := p.Resource.(acmewire.Authorization); ok {
		name = authorization.IdentifierValue()
	}
	if len(p.Subproblems) > 0 && (p.Type == acmewire.ProblemTypeCompound || name == "") {
		first := p.Subproblems[0]
		name = first.Identifier.Value
		p = first.Problem
	}
	detail := clip(p.Detail)
	switch p.Type {
	case acmewire.ProblemTypeDNS:
		return recordsFailure(postern.CodeCertificateLookup, proof, name, "%s could not look up %s: %s", authority, orDomain(name), detail)
	case acmewire.ProblemTypeConnection, acmewire.ProblemTypeTLS:
		return recordsFailure(postern.CodeCertificateUnreachable, proof, name, "%s could not reach %s: %s", authority, orDomain(name), detail)
	case acmewire.ProblemTypeUnauthorized, acmewire.ProblemTypeIncorrectResponse:
		if name == "" {
			return failed(postern.CodeAuthorityRefused, "%s refuses: %s", authority, detail)
		}
		return recordsFailure(postern.CodeCertificateProof, proof, name, "%s did not find this server's proof for %s: %s", authority, orDomain(name), detail)
	case acmewire.ProblemTypeCAA:
		return &Failure{Code: postern.CodeCertificateCAA, Records: true, Elsewhere: true,
			Message: fmt.Sprintf("The CAA records of %s do not allow %s to issue: %s. Add a CAA record that names it, or remove those that are there.", orDomain(name), authority, detail)}
	case acmewire.ProblemTypeRejectedIdentifier, acmewire.ProblemTypeUnsupportedIdentifier:
		return &Failure{Code: postern.CodeCertificateName, Records: true, Elsewhere: true,
			Message: fmt.Sprintf("%s does not issue certificates for %s: %s", authority, orDomain(name), detail)}
	case acmewire.ProblemTypeRateLimited:
		return failed(postern.CodeAuthorityRate, "%s issues no more for now: %s. Nothing needs to be done; it is asked again when it allows that.", authority, detail)
	case acmewire.ProblemTypeExternalAccountRequired, acmewire.ProblemTypeInvalidContact, acmewire.ProblemTypeUnsupportedContact, acmewire.ProblemTypeUserActionRequired, acmewire.ProblemTypeAccountDoesNotExist:
		return failed(postern.CodeAuthorityAccount, "%s does not accept the server's account: %s. The server's operator has to see to tls.email and tls.eab.", authority, detail)
	case acmewire.ProblemTypeServerInternal:
		return failed(postern.CodeAuthorityUnreachable, "%s has a problem of its own: %s", authority, detail)
	}
	return failed(postern.CodeAuthorityRefused, "%s refuses: %s", authority, detail)
}

// recordsFailure adds what to look at.
func recordsFailure(code postern.Code, proof Proof, name string, format string, args ...any) *Failure {
	message := fmt.Sprintf(format, args...) + ". "
	switch host := postern.Hostname(name); {
	case name == "":
	case proof.Kind == HTTP01:
		message += fmt.Sprintf("Have the records of %s lead to this server and nowhere else, AAAA records too, and let visitors reach its port 80.", host)
	case proof.Kind == TLSALPN01:
		message += fmt.Sprintf("Have the records of %s lead to this server and nowhere else, AAAA records too, and let visitors reach its port 443 without anything in between that ends TLS.", host)
	case proof.Record != nil:
		base := host
		if base.Wildcard() {
			base = base.Parent()
		}
		message += fmt.Sprintf("Create the record _acme-challenge.%s CNAME %s, and see that it is the only one of that name.", base, proof.record(host))
	default:
		message += fmt.Sprintf("See that the TXT record %s can be looked up from the internet soon after it was written.", proof.record(host))
	}
	return &Failure{Code: code, Message: message, Records: true}
}

func orDomain(name string) string {
	if name == "" {
		return "the domain"
	}
	return name
}

// nameOf is what people call a directory: its host.
func nameOf(directory string) string {
	if u, err := url.Parse(directory); err == nil && u.Host != "" {
		return u.Host
	}
	return directory
}

// clip shortens what somebody else wrote, and keeps it on one line.
func clip(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	text = strings.TrimSuffix(text, ".")
	if len(text) > mostDetail {
		return strings.ToValidUTF8(text[:mostDetail], "") + "…"
	}
	return text
}
