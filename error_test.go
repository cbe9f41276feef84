package postern_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

func TestErrorText(t *testing.T) {
	e := postern.Errorf(postern.CodeAlreadyOnline, "endpoint %q is online", "https://a.test")
	if got, want := e.Error(), `endpoint "https://a.test" is online (ERR_NGROK_334)`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	bare := &postern.Error{Code: postern.CodeAlreadyOnline}
	if bare.Text() != "The endpoint is already online" || !strings.HasSuffix(bare.Error(), "(ERR_NGROK_334)") {
		t.Errorf("without a message: %q, %q", bare.Text(), bare.Error())
	}
}

func TestErrorChain(t *testing.T) {
	base := postern.Errorf(postern.CodeLinkLost, "gone")
	e := fmt.Errorf("opening: %w", base.Because(io.ErrUnexpectedEOF))
	switch {
	case !errors.Is(e, io.ErrUnexpectedEOF):
		t.Error("the cause is not in the chain")
	case !errors.Is(e, &postern.Error{Code: postern.CodeLinkLost}):
		t.Error("errors.Is does not match by code")
	case errors.Is(e, &postern.Error{Code: postern.CodeLinkDraining}):
		t.Error("errors.Is matches another code")
	case !postern.HasCode(e, postern.CodeLinkLost) || postern.HasCode(e, postern.CodeInternal) || postern.HasCode(nil, postern.CodeInternal):
		t.Error("HasCode is wrong")
	case postern.AsError(e).Code != postern.CodeLinkLost:
		t.Error("AsError does not find the Error")
	case base.Cause != nil:
		t.Error("Because changed its receiver")
	}
}

// No private text reaches a stranger: an error without a code shows the
// catalogue's words only.
func TestForeignErrorsAreMasked(t *testing.T) {
	e := postern.AsError(errors.New("dial 10.0.0.7:5432: refused"))
	if e.Code != postern.CodeInternal || strings.Contains(e.Error(), "10.0.0.7") {
		t.Errorf("AsError = %v", e)
	}
	if postern.AsError(nil) != nil {
		t.Error("AsError(nil) is not nil")
	}
}

func TestCatalogue(t *testing.T) {
	codes := postern.Codes()
	if len(codes) < 40 {
		t.Fatalf("the catalogue has %d codes", len(codes))
	}
	for _, code := range codes {
		entry := code.Entry()
		if entry.Code != code || entry.Title == "" || entry.Fix == "" || entry.Status < 400 || entry.Status > 599 {
			t.Errorf("%s: incomplete entry %+v", code, entry)
		}
		if !strings.HasPrefix(string(entry.Wire), "ERR_NGROK_") {
			t.Errorf("%s: ngrok's clients would be shown %q", code, entry.Wire)
		}
		if strings.HasPrefix(string(code), "ERR_NGROK_") && entry.Wire != code {
			t.Errorf("%s: a code with ngrok's meaning must be shown as itself, not as %s", code, entry.Wire)
		}
		if strings.HasSuffix(entry.Title, ".") || !strings.HasSuffix(entry.Fix, ".") {
			t.Errorf("%s: a title ends without a full stop, a fix with one", code)
		}
	}
	unknown := postern.Code("ERR_POSTERN_0").Entry()
	if unknown.Code != "ERR_POSTERN_0" || unknown.Status != 500 {
		t.Errorf("an unknown code is described as %+v", unknown)
	}
}
