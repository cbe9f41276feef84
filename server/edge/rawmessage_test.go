package edge_test

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
)

// ourWords are the headers that the edge writes itself, or that frame a message.
var ourWords = []string{
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Host", "Content-Length", "Transfer-Encoding",
	"Trailer", "Connection", "Upgrade", "Date",
}

// rawMessage is a message as bytes: the lines of its head, and its body without framing.
type rawMessage struct {
	first   string
	lines   []string
	body    string
	trailer http.Header
}

// readRaw reads a request, or else an answer to one of a method.
func readRaw(r *bufio.Reader, method string) (m rawMessage, err error) {
	m, head, err := readHead(r)
	if err != nil {
		return m, err
	}
	whole := bufio.NewReader(io.MultiReader(strings.NewReader(head), r))
	var body io.Reader
	if method == "" {
		request, err := http.ReadRequest(whole)
		if err != nil {
			return m, err
		}
		body = request.Body
		defer func() { m.trailer = request.Trailer }()
	} else {
		response, err := http.ReadResponse(whole, &http.Request{Method: method})
		if err != nil {
			return m, err
		}
		body = response.Body
		defer func() { m.trailer = response.Trailer }()
	}
	text, err := io.ReadAll(body)
	m.body = string(text)
	return m, err
}

// readHead reads a head, and nothing behind it.
func readHead(r *bufio.Reader) (m rawMessage, text string, err error) {
	for !strings.HasSuffix(text, "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			return m, "", err
		}
		text += line
	}
	lines := strings.Split(strings.TrimSuffix(text, "\r\n\r\n"), "\r\n")
	m.first, m.lines = lines[0], lines[1:]
	return m, text, nil
}

// theirs are the lines that neither the policies nor the edge have anything to do with, as
// they are; settled orders them as net/http does, which keeps the order of those of one
// name only, and spells names in its own way.
func (m rawMessage) theirs(settled bool) []string {
	var all []string
	for _, line := range m.lines {
		name, value, _ := strings.Cut(line, ":")
		key := http.CanonicalHeaderKey(name)
		if slices.Contains(ourWords, key) || key == "X-Gone" || key == "X-Policy" {
			continue
		}
		if settled {
			line = key + ": " + strings.Trim(value, " \t")
		}
		all = append(all, line)
	}
	if settled {
		slices.SortStableFunc(all, func(a, b string) int {
			nameA, _, _ := strings.Cut(a, ":")
			nameB, _, _ := strings.Cut(b, ":")
			return strings.Compare(nameA, nameB)
		})
	}
	return all
}

// says tells whether the message has exactly these values of a header.
func (m rawMessage) says(name string, values ...string) bool {
	var all []string
	for _, line := range m.lines {
		if found, value, _ := strings.Cut(line, ":"); strings.EqualFold(found, name) {
			all = append(all, strings.TrimSpace(value))
		}
	}
	return slices.Equal(all, values)
}
