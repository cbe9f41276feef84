package material

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
)

const (
	begin = "-----BEGIN "
	end   = "-----END "
	dash  = "-----"

	// MostBytes bounds a text that has no bound of its own.
	MostBytes = 128 << 10
	// mostBlocks bounds the PEM blocks of a text.
	mostBlocks = 256
)

// Text is what somebody gave.
type Text struct {
	// Name is what messages call it: the field, and the file that it was read from, as
	// in "mutual_tls_cas (ca-crt.pem)".
	Name string
	Data []byte // PEM; DER where a field holds one thing
	Most int    // bytes that are allowed, 0 for MostBytes
}

// block is one of a PEM text, or the whole of a DER one.
type block struct {
	kind    string
	line    int // where it begins, from 1; 0 for DER
	headers map[string]string
	der     []byte
}

func (b block) isKey() bool { return strings.HasSuffix(b.kind, "PRIVATE KEY") }

func (b block) isCertificate() bool {
	return b.kind == "CERTIFICATE" || b.kind == "X509 CERTIFICATE" || b.kind == "TRUSTED CERTIFICATE"
}

func (b block) isRevocationList() bool { return b.kind == "X509 CRL" }

// where is how messages say it.
func (b block) where() string {
	if b.line == 0 {
		return ""
	}
	return fmt.Sprintf(", at line %d", b.line)
}

// blocks takes a text apart. What is between blocks is for people ("Bag Attributes",
// comments) and dropped; a block that cannot be read is an error, for half of a file must
// not be taken for the whole. There is at least one.
func (t Text) blocks() ([]block, error) {
	if most := cmp.Or(t.Most, MostBytes); len(t.Data) > most {
		return nil, t.fault("has %d bytes, at most %d are allowed", len(t.Data), most)
	}
	if found, err := t.foreign(); found != nil || err != nil {
		return found, err
	}
	text := normalised(t.Data)
	var all []block
	for line := 1; ; {
		start := strings.Index(text, begin)
		if stray := strings.Index(text, end); stray >= 0 && (start < 0 || stray < start) {
			return nil, t.fault("has the end of a PEM block at line %d and not its beginning: the file is not whole", line+strings.Count(text[:stray], "\n"))
		}
		if start < 0 {
			break
		}
		line += strings.Count(text[:start], "\n")
		text = text[start:]
		found, length, err := t.block(text, line)
		if err != nil {
			return nil, err
		}
		if all = append(all, found); len(all) > mostBlocks {
			return nil, t.fault("has more than %d PEM blocks", mostBlocks)
		}
		line += strings.Count(text[:length], "\n")
		text = text[length:]
	}
	if len(all) == 0 {
		return nil, t.notPEM()
	}
	return all, nil
}

// block reads the block with which text begins, and tells its length.
func (t Text) block(text string, line int) (block, int, error) {
	kind, rest, found := strings.Cut(text[len(begin):], dash)
	if !found || strings.ContainsAny(kind, "\n") {
		return block{}, 0, t.fault("has a PEM block at line %d whose first line has no end: it must be -----BEGIN …-----", line)
	}
	stop := strings.Index(rest, end)
	if next := strings.Index(rest, begin); stop < 0 || next >= 0 && next < stop {
		return block{}, 0, t.fault("has a PEM block (%q) that begins at line %d and has no end: the file is not whole", clip(kind), line)
	}
	last, after, found := strings.Cut(rest[stop+len(end):], dash)
	if !found || last != kind {
		return block{}, 0, t.fault("has a PEM block that begins at line %d as %q and ends as something else", line, clip(kind))
	}
	headers, body := cutHeaders(rest[:stop])
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil || len(der) == 0 {
		return block{}, 0, t.fault("has a PEM block (%q) at line %d that is damaged: what is between its first and last line is not base64", clip(kind), line)
	}
	return block{kind: kind, line: line, headers: headers, der: der}, len(text) - len(after), nil
}

// cutHeaders takes lines "Name: value" off (RFC 1421 §4.4), which encrypted keys have.
func cutHeaders(text string) (headers map[string]string, body string) {
	for {
		line, rest, found := strings.Cut(strings.TrimLeft(text, " \t\n"), "\n")
		name, value, is := strings.Cut(line, ":")
		if !found || !is {
			return headers, text
		}
		if headers == nil {
			headers = make(map[string]string)
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		text = rest
	}
}

func (t Text) fault(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeMaterialInvalid, "%s "+format, append([]any{t.Name}, args...)...)
}

// clip shortens what somebody sent for a message.
func clip(text string) string { return postern.Clip(text, 60) }

// Reason is what crypto/x509 says of something that it cannot read, for a message.
func Reason(err error) string { return clip(strings.TrimPrefix(err.Error(), "x509: ")) }
