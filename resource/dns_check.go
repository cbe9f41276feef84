package resource

import (
	"net/http"
	"reflect"
	"time"
)

// DNSCheck is what the server found of the records that somebody else's zone is to have.
type DNSCheck struct {
	Domain    string      `json:"domain" doc:"The domain."`
	Status    string      `json:"status" doc:"The worst of all records: ok, warning or problem."`
	CheckedAt time.Time   `json:"checked_at" doc:"When that was."`
	Records   []DNSRecord `json:"records" doc:"Each record that was looked at."`
}

// DNSRecord is one record of a DNSCheck.
type DNSRecord struct {
	Type   string   `json:"type" doc:"NS, CNAME, A or CAA."`
	Name   string   `json:"name" doc:"Whose record it is."`
	Status string   `json:"status" doc:"ok, warning (it works, or may, and is not as it should be) or problem."`
	Code   *string  `json:"code" doc:"The verdict's code, as in the list of errors; null where there is nothing to say."`
	Msg    string   `json:"msg" doc:"The same for people: what is so, and what to do."`
	Want   []string `json:"want" doc:"What the record is to have; empty for nothing in particular."`
	Have   []string `json:"have" doc:"What it has."`
}

// check is the route that looks at records now.
func check(what string) Route {
	return Route{
		Method: http.MethodPost, Path: "/{id}/check", Status: http.StatusOK,
		Doc:    "Asks for " + what + " at the name servers of their own zones, and says what is missing. It takes up to ten seconds and changes nothing.",
		Answer: reflect.TypeFor[DNSCheck](),
	}
}
