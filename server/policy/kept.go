package policy

import (
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
)

// kept is a head as it went on, for the phases behind its own. Nothing can be edited any
// more, and its body has gone.
type kept struct {
	header http.Header
	length int64
}

func keep(h Head) kept {
	k := kept{header: make(http.Header), length: h.Length()}
	for name, value := range h.All() {
		name = http.CanonicalHeaderKey(name)
		k.header[name] = append(k.header[name], value)
	}
	return k
}

// Values implements Head.
func (k kept) Values(name string) []string { return k.header.Values(name) }

// Get implements Head.
func (k kept) Get(name string) string { return k.header.Get(name) }

// All implements Head.
func (k kept) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, name := range k.Names() {
			for _, value := range k.header[name] {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// Names implements Head.
func (k kept) Names() []string { return slices.Sorted(maps.Keys(k.header)) }

// Length implements Head.
func (k kept) Length() int64 { return k.length }

// Body implements Head.
func (kept) Body() io.Reader { return http.NoBody }

// Set implements Head.
func (kept) Set(_, _ string) {}

// Add implements Head.
func (kept) Add(_, _ string) {}

// Remove implements Head.
func (kept) Remove(string) {}

// SetBody implements Head.
func (kept) SetBody(io.Reader, int64) {}

// keptRequest is a request that went on.
type keptRequest struct {
	kept
	method, host, target string
}

// Method implements Request.
func (r *keptRequest) Method() string { return r.method }

// Host implements Request.
func (r *keptRequest) Host() string { return r.host }

// SetHost implements Request.
func (r *keptRequest) SetHost(string) {}

// Target implements Request.
func (r *keptRequest) Target() string { return r.target }

// SetTarget implements Request.
func (r *keptRequest) SetTarget(string) {}

// Sent implements Request: what went no further was not kept.
func (r *keptRequest) Sent(string) []string { return nil }

// Trailers implements Request.
func (r *keptRequest) Trailers() []string { return nil }

// RemoveTrailer implements Request.
func (r *keptRequest) RemoveTrailer(string) {}

// keptResponse is an answer that went on.
type keptResponse struct {
	kept
	status int
}

// Status implements Response.
func (r *keptResponse) Status() int { return r.status }

var (
	_ Request  = (*keptRequest)(nil)
	_ Response = (*keptResponse)(nil)
)
