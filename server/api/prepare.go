package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
)

// maxBody is the largest body that is read.
const maxBody = 1 << 20

// version is that of the API, in the header of every request.
const version = "2"

// prepare checks what is the same for all routes, and reads the body.
func (c *call) prepare(w http.ResponseWriter) error {
	switch versions := c.Header.Values("Ngrok-Version"); {
	case len(versions) == 0:
		return &postern.Error{Code: postern.CodeVersionMissing}
	case len(versions) > 1 || versions[0] != version:
		return postern.Errorf(postern.CodeVersionInvalid, "the header Ngrok-Version is %q; the API's version is %q", clip(versions[0]), version)
	}
	if err := c.readBody(w); err != nil {
		return err
	}
	if c.Method == http.MethodGet || c.Method == http.MethodDelete {
		if len(c.body) > 0 {
			return postern.Errorf(postern.CodeBodyUnexpected, "a %s request takes no body", c.Method)
		}
		return nil
	}
	return c.checkContentType()
}

func (c *call) readBody(w http.ResponseWriter) error {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // HTTP/2 and tests may not have it
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return postern.Errorf(postern.CodeBodyTooLarge, "the body has more than %d bytes", maxBody)
	}
	if err != nil {
		return postern.Errorf(postern.CodeBodyUnparsable, "the body did not come whole").Because(err)
	}
	c.body = body
	return nil
}

func (c *call) checkContentType() error {
	if len(c.body) == 0 {
		return nil // an action's, or the decoder says what is missing
	}
	sent := c.Header.Get("Content-Type")
	if sent == "" {
		return &postern.Error{Code: postern.CodeContentTypeMissing}
	}
	if kind, _, err := mime.ParseMediaType(sent); err != nil || kind != "application/json" {
		return postern.Errorf(postern.CodeContentTypeInvalid, "the content type is %q; the API reads application/json", clip(sent))
	}
	return nil
}
