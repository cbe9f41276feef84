package demo

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
)

const (
	mostContacts = 1000
	mostBody     = 64 << 10
)

// contact is a person in the sample service.
type contact struct {
	ID          string `json:"id"`
	FirstName   string `json:"firstName"`
	LastName    string `json:"lastName"`
	PhoneNumber string `json:"phoneNumber"`
	Email       string `json:"email"`
}

// search is what the service is asked for; what is empty does not matter.
type search struct {
	FirstName      string `json:"firstName"`
	LastName       string `json:"lastName"`
	SearchFullName string `json:"searchFullName"`
	PhoneNumber    string `json:"phoneNumber"`
}

// contacts is a small address book, such as a cloud application would ask for data
// behind a firewall. It starts with one person, Test Account. What is not found is
// a 404 with an empty body.
type contacts struct {
	mu   sync.Mutex
	list []contact
	next int
}

// newContacts gives the service's handler:
//
//	POST   /searchContactsByName     {"firstName","lastName","searchFullName"} → the contact
//	POST   /GetContactByPhoneNumber  {"phoneNumber"} → the contact
//	POST   /data/contacts            a contact without id → 201 and the contact
//	DELETE /data/contacts/{id}       → 204
//	GET    /                         a page for people
func newContacts() http.Handler {
	c := &contacts{next: 2, list: []contact{
		{ID: "1", FirstName: "Test", LastName: "Account", PhoneNumber: "+1 555 0100", Email: "test.account@example.com"},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /searchContactsByName", c.find(byName))
	mux.HandleFunc("POST /GetContactByPhoneNumber", c.find(byPhone))
	mux.HandleFunc("POST /data/contacts", c.add)
	mux.HandleFunc("DELETE /data/contacts/{id}", c.remove)
	mux.HandleFunc("GET /{$}", c.page)
	return mux
}

func byName(s search, c contact) bool {
	full := c.FirstName + " " + c.LastName
	asked := s.FirstName != "" || s.LastName != "" || s.SearchFullName != ""
	return asked &&
		(s.FirstName == "" || strings.EqualFold(s.FirstName, c.FirstName)) &&
		(s.LastName == "" || strings.EqualFold(s.LastName, c.LastName)) &&
		(s.SearchFullName == "" || strings.EqualFold(s.SearchFullName, full))
}

func byPhone(s search, c contact) bool {
	return digits(s.PhoneNumber) != "" && digits(s.PhoneNumber) == digits(c.PhoneNumber)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// find answers the first contact that matches.
func (c *contacts) find(matches func(search, contact) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked search
		if !readJSON(w, r, &asked) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, one := range c.list {
			if matches(asked, one) {
				writeJSON(w, http.StatusOK, one)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

func (c *contacts) add(w http.ResponseWriter, r *http.Request) {
	var one contact
	if !readJSON(w, r, &one) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) >= mostContacts {
		http.Error(w, "the sample service holds no more contacts", http.StatusInsufficientStorage)
		return
	}
	one.ID = fmt.Sprint(c.next)
	c.next++
	c.list = append(c.list, one)
	writeJSON(w, http.StatusCreated, one)
}

func (c *contacts) remove(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, one := range c.list {
		if one.ID == r.PathValue("id") {
			c.list = append(c.list[:i], c.list[i+1:]...)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

const pageText = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Contacts behind Postern</title>
<h1>Contacts</h1>
<p>This page comes from a service on this machine, through a public URL.</p>
<ul>{{range .}}<li>{{.FirstName}} {{.LastName}}, {{.PhoneNumber}}</li>{{end}}</ul>
</html>
`

func (c *contacts) page(w http.ResponseWriter, _ *http.Request) {
	page := template.Must(template.New("contacts").Parse(pageText))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = page.Execute(w, c.list) // a visitor that left
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody)).Decode(into); err != nil {
		http.Error(w, "the body is not the JSON that was expected: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // a visitor that left
}
