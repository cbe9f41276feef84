package uploaded

import (
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
)

const (
	begin = "-----BEGIN "
	end   = "-----END "

	certificateType = "CERTIFICATE"
)

// block is one of a PEM text.
type block struct {
	*pem.Block
	line int // where it begins, from 1
}

func (b block) isCertificate() bool { return b.Type == certificateType }

// isKey tells whether it is a private key of any kind.
func (b block) isKey() bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }

// fault is what is wrong with a PEM text, in words that do not quote it.
type fault string

// blocksOf takes a text apart. encoding/pem alone skips whatever it cannot read, so that
// half a file would be taken for the whole.
func blocksOf(text string) ([]block, fault) {
	var blocks []block
	for line := 1; ; {
		start := strings.Index(text, begin)
		if start < 0 {
			start = len(text)
		}
		if outside := strings.TrimSpace(text[:start]); outside != "" {
			line += strings.Count(text[:strings.Index(text, outside)], "\n")
			return blocks, fault(fmt.Sprintf("has text outside of its PEM blocks, at line %d; leave only what is from -----BEGIN to -----END", line))
		}
		if start == len(text) {
			return blocks, ""
		}
		line += strings.Count(text[:start], "\n")
		text = text[start:]
		stop := strings.Index(text, end)
		if next := strings.Index(text[len(begin):], begin); stop < 0 || next >= 0 && len(begin)+next < stop {
			return blocks, fault(fmt.Sprintf("has a PEM block that begins at line %d and has no end", line))
		}
		if length := strings.IndexByte(text[stop:], '\n'); length >= 0 {
			stop += length + 1
		} else {
			stop = len(text)
		}
		found, rest := pem.Decode([]byte(text[:stop]))
		if found == nil || len(strings.TrimSpace(string(rest))) > 0 {
			return blocks, fault(fmt.Sprintf("has a PEM block at line %d that is damaged: its base64 cannot be read, or its first and last line differ", line))
		}
		blocks = append(blocks, block{found, line})
		line += strings.Count(text[:stop], "\n")
		text = text[stop:]
	}
}

// certificateField is a field that must have certificates only, and the codes for what
// can be wrong with it.
type certificateField struct {
	name                     string
	missing, unreadable, key postern.Code
}

// blocks takes the field's text apart. There is at least one.
func (f certificateField) blocks(text string) ([]block, error) {
	if len(text) > MaxChain {
		return nil, postern.Errorf(postern.CodeCertificateTooLong, "%s has %d bytes, at most %d are allowed", f.name, len(text), MaxChain)
	}
	if strings.TrimSpace(text) == "" {
		return nil, postern.Errorf(f.missing, "%s is empty", f.name)
	}
	blocks, problem := blocksOf(text)
	for _, b := range blocks {
		switch {
		case b.isKey():
			return nil, postern.Errorf(f.key, "%s has a private key, at line %d; it must have certificates only", f.name, b.line)
		case !b.isCertificate():
			return nil, postern.Errorf(postern.CodePEMTypeWrong, "%s has a PEM block of the type %q, at line %d; it must be %q", f.name, clip(b.Type), b.line, certificateType)
		case len(b.Headers) > 0:
			return nil, postern.Errorf(postern.CodePEMHeaders, "%s has headers in its PEM block at line %d; leave only base64 between the first and last line", f.name, b.line)
		}
	}
	if problem != "" && !strings.Contains(text, begin) {
		return nil, postern.Errorf(f.unreadable, "%s is not PEM text: it must begin with -----BEGIN CERTIFICATE-----. If the file is binary (DER), openssl x509 -inform DER -in FILE makes PEM of it", f.name)
	}
	if problem != "" {
		return nil, postern.Errorf(f.unreadable, "%s %s", f.name, problem)
	}
	return blocks, nil
}

// clip shortens what somebody sent for a message.
func clip(text string) string { return postern.Clip(text, 60) }
