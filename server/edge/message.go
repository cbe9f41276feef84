package edge

import (
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// Message is a head in the hands of a Follower: what goes on of it, without what belongs
// to one connection, without framing, and without what strangers say about themselves. An
// edit that would not make a well-formed head fails the exchange with CodeHeadInvalid.
type Message struct {
	fields  fields
	body    io.Reader // nil where bodies are not to be had
	length  int64
	changed bool // SetBody was called
	sealed  bool // SetBody must not be, and Body gives nothing
	empty   bool // it can have no body
	problem *postern.Error
	refuses func(name string) string // why a line must not be edited
}

// fields are a head's lines, in the words of whoever parsed it. Names are canonical.
type fields interface {
	names() []string // sorted
	values(name string) []string
	remove(name string)
	add(name, value string)
}

// Values are those of a header, in the order sent.
func (m *Message) Values(name string) []string {
	if m.fields == nil {
		return nil
	}
	return m.fields.values(http.CanonicalHeaderKey(name))
}

// Get is the first value of a header, "" for none.
func (m *Message) Get(name string) string { return first(m.Values(name)) }

// All gives every line: sorted by name, which is canonical; those of one name in the order
// sent.
func (m *Message) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, name := range m.Names() {
			for _, value := range m.fields.values(name) {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// Names are those of all lines: canonical, sorted, each once.
func (m *Message) Names() []string {
	if m.fields == nil {
		return nil
	}
	return m.fields.names()
}

// Set replaces all lines of a name by one.
func (m *Message) Set(name, value string) {
	if m.allows(name, value) {
		m.fields.remove(http.CanonicalHeaderKey(name))
		m.add(name, value)
	}
}

// Add adds a line.
func (m *Message) Add(name, value string) {
	if m.allows(name, value) {
		m.add(name, value)
	}
}

func (m *Message) add(name, value string) {
	m.fields.add(http.CanonicalHeaderKey(name), strings.Trim(value, " \t"))
}

// Remove removes all lines of a name.
func (m *Message) Remove(name string) {
	if m.allows(name, "") {
		m.fields.remove(http.CanonicalHeaderKey(name))
	}
}

func (m *Message) allows(name, value string) bool {
	if m.fields == nil {
		m.fault("a head was edited by somebody who did not ask for heads")
		return false
	}
	if problem := m.refuses(name); problem != "" {
		m.fault("the header " + name + " cannot be edited: " + problem)
		return false
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		m.fault("the value for the header " + name + " has a control character")
		return false
	}
	return true
}

// fault keeps the first mistake: the exchange fails when its maker has returned.
func (m *Message) fault(text string) {
	if m.problem == nil {
		m.problem = postern.Errorf(postern.CodeHeadInvalid, "%s", text)
	}
}

// Length is that of the body, -1 where only its end will tell.
func (m *Message) Length() int64 { return m.length }

// Body is the body as those before have left it, empty where there is none. What is read
// of it is gone: SetBody puts something in its place. It needs NeedChange; a visitor's
// body can be waited for as long as the visitor makes progress.
func (m *Message) Body() io.Reader {
	if m.body == nil || m.sealed {
		return http.NoBody
	}
	return m.body
}

// SetBody replaces the body: those behind get what r gives, until io.EOF; an error breaks
// the message off. length is that of r, -1 for unknown. r is read by another goroutine, as
// fast as the receiver takes it. Answers that can have no body (to HEAD, 204, 304) keep
// none; that to HEAD then says length. It needs NeedChange.
func (m *Message) SetBody(r io.Reader, length int64) {
	if m.sealed {
		m.fault("a body was replaced by somebody who did not ask for changing bodies")
		return
	}
	m.length, m.changed = max(length, -1), true
	if !m.empty {
		m.body = r
	}
}

// Request is a request's head in the hands of a Follower. What is read of it outside of
// Follower.Request, or without NeedHead, is empty.
type Request struct {
	Message
	sent                 requestHead
	method, host, target string
	rewritten            bool // the target
	moved                bool // the host
	trailers             http.Header
}

// Sent gives the lines of a header as the visitor sent them: also of one that goes no
// further than here, such as Postern-Authorization, and of those that rules have edited.
func (r *Request) Sent(name string) []string {
	if r.sent == nil {
		return nil
	}
	return r.sent.values(http.CanonicalHeaderKey(name))
}

// Method is the request's method.
func (r *Request) Method() string { return r.method }

// Host is the Host header as those before have left it.
func (r *Request) Host() string { return r.host }

// SetHost replaces the Host header that the service is sent. Where an endpoint has one of
// its own, that is sent.
func (r *Request) SetHost(host string) {
	if host == "" || len(host) > 260 || !httpguts.ValidHostHeader(host) {
		r.fault("a request cannot be sent with the host that it was given")
		return
	}
	r.host, r.moved = host, true
}

// Target is the request's target as those before have left it: path and query; a whole
// URL where the visitor sent one.
func (r *Request) Target() string { return r.target }

// SetTarget replaces path and query, which must begin with "/".
func (r *Request) SetTarget(target string) {
	if _, err := url.ParseRequestURI(target); err != nil || !http1.ValidTarget(target) {
		r.fault("a request cannot be sent with the rewritten target")
		return
	}
	r.target, r.rewritten = target, true
}

// Trailers are the names of those that come behind the body, and go on.
func (r *Request) Trailers() []string {
	if len(r.trailers) == 0 {
		return nil // nearly always, and policies ask again and again
	}
	return slices.Sorted(maps.Keys(r.trailers))
}

// RemoveTrailer has a trailer not go on.
func (r *Request) RemoveTrailer(name string) { delete(r.trailers, http.CanonicalHeaderKey(name)) }

// Response is the head of a final answer in the hands of a Follower. What is read of it
// outside of Follower.Response, or without NeedHead, is empty.
type Response struct {
	Message
	status int
}

// Status is the answer's.
func (r *Response) Status() int { return r.status }

// EditableRequestHeader tells why followers must not set or remove a header of requests,
// "" where they may: it names one connection or a message's framing, or the edge writes
// it itself, last. It is for whoever reads a policy before it is in force.
func EditableRequestHeader(name string) (problem string) {
	if problem := EditableResponseHeader(name); problem != "" {
		return problem
	}
	var space [mostFolded]byte
	folded := fold(space[:0], name)
	switch string(folded) {
	case "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-original-host", "client-cert", "client-cert-chain":
		return "the server writes it itself"
	}
	if hasPrefix(folded, "postern-") {
		return "the server writes it itself"
	}
	return ""
}

// EditableResponseHeader is EditableRequestHeader for answers.
func EditableResponseHeader(name string) (problem string) {
	if !httpguts.ValidHeaderFieldName(name) {
		return "it is not a header name"
	}
	var space [mostFolded]byte
	if slices.Contains(framing[:], string(fold(space[:0], name))) || slices.Contains(hopByHop[:], http.CanonicalHeaderKey(name)) {
		return "it belongs to the connection or the framing"
	}
	return ""
}

// mapFields are a head that net/http has parsed, without what followers do not see.
type mapFields http.Header

func (f mapFields) names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(f)), hidden)
}

func (f mapFields) values(name string) []string {
	if hidden(name) {
		return nil
	}
	return slices.Clone(f[name])
}
func (f mapFields) remove(name string) { delete(f, name) }
func (f mapFields) add(name, value string) {
	f[name] = append(slices.Clip(f[name]), value)
}

// hidden tells of a canonical name whether followers do not see it.
func hidden(name string) bool {
	return name == "Content-Length" || name == "Host" || slices.Contains(hopByHop[:], name)
}

// lineFields are a head that the relay has parsed.
type lineFields struct{ head *http1.Head }

func (f lineFields) names() []string {
	all := make([]string, 0, len(f.head.Lines))
	for i := range f.head.Lines {
		if name := http.CanonicalHeaderKey(string(f.head.Lines[i].Name)); !hidden(name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (f lineFields) values(name string) (all []string) {
	if hidden(name) {
		return nil
	}
	for i := range f.head.Lines {
		if l := &f.head.Lines[i]; len(l.Name) == len(name) && http.CanonicalHeaderKey(string(l.Name)) == name {
			all = append(all, string(l.Value))
		}
	}
	return all
}
func (f lineFields) remove(name string)     { f.head.Remove(name) }
func (f lineFields) add(name, value string) { f.head.Add(name, value) }

var (
	_ fields = mapFields(nil)
	_ fields = lineFields{}
)
