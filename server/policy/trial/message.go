package trial

import (
	"bytes"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/postern-dev/postern/server/policy"
)

// head is a message that a policy may edit, kept as the edge keeps it.
type head struct {
	header http.Header
	body   []byte
	broken error // why the body could not be read to its end; nil for no reason
}

func newHead(header map[string]Values, body string) head {
	h := head{header: make(http.Header), body: []byte(body)}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		key := http.CanonicalHeaderKey(name)
		h.header[key] = append(h.header[key], header[name]...)
	}
	return h
}

// Values implements policy.Head.
func (h *head) Values(name string) []string { return h.header.Values(name) }

// Get implements policy.Head.
func (h *head) Get(name string) string { return h.header.Get(name) }

// All implements policy.Head.
func (h *head) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, name := range h.Names() {
			for _, value := range h.header[name] {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// Names implements policy.Head.
func (h *head) Names() []string { return slices.Sorted(maps.Keys(h.header)) }

// Set implements policy.Head.
func (h *head) Set(name, value string) { h.header.Set(name, strings.TrimSpace(value)) }

// Add implements policy.Head.
func (h *head) Add(name, value string) { h.header.Add(name, strings.TrimSpace(value)) }

// Remove implements policy.Head.
func (h *head) Remove(name string) { h.header.Del(name) }

// Length implements policy.Head.
func (h *head) Length() int64 { return int64(len(h.body)) }

// Body implements policy.Head.
func (h *head) Body() io.Reader { return bytes.NewReader(h.body) }

// SetBody implements policy.Head. It reads r to its end, as whoever gets the message would.
func (h *head) SetBody(r io.Reader, _ int64) {
	var err error
	if h.body, err = io.ReadAll(io.LimitReader(r, mostBody)); err != nil && h.broken == nil {
		h.broken = err
	}
}

// mostBody bounds what a policy may make of a body here.
const mostBody = 16 << 20

type request struct {
	head
	sent                 http.Header
	method, host, target string
}

// Method implements policy.Request.
func (r *request) Method() string { return r.method }

// Host implements policy.Request.
func (r *request) Host() string { return r.host }

// SetHost implements policy.Request.
func (r *request) SetHost(host string) { r.host = host }

// Sent implements policy.Request.
func (r *request) Sent(name string) []string { return r.sent.Values(name) }

// Target implements policy.Request.
func (r *request) Target() string { return r.target }

// SetTarget implements policy.Request.
func (r *request) SetTarget(target string) { r.target = target }

// Trailers implements policy.Request: cases have none.
func (r *request) Trailers() []string { return nil }

// RemoveTrailer implements policy.Request.
func (r *request) RemoveTrailer(string) {}

type response struct {
	head
	status int
}

// Status implements policy.Response.
func (r *response) Status() int { return r.status }

var (
	_ policy.Request  = (*request)(nil)
	_ policy.Response = (*response)(nil)
)
