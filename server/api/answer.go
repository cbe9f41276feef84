package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/postern-dev/postern"
)

// operationHeader names the request in the answer; ngrok's clients show it where they
// cannot read the body.
const operationHeader = "Ngrok-Operation-Id"

// retryStore is after how many seconds a client may try again while the store is down.
const retryStore = "5"

// problem is the body of an answer that refuses. Values of details must be texts: ngrok's
// clients lose code and message otherwise.
type problem struct {
	ErrorCode  string            `json:"error_code,omitempty"` // a resource that is not there has none
	StatusCode int               `json:"status_code"`
	Msg        string            `json:"msg"`
	Details    map[string]string `json:"details"`
}

// fail answers with an error. Its cause is logged where it is our own trouble.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	coded := postern.AsError(err)
	entry := coded.Code.Entry()
	operation := w.Header().Get(operationHeader)
	if entry.Status == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	if entry.Status >= http.StatusInternalServerError {
		a.config.Logger.ErrorContext(r.Context(), "an API request failed",
			"method", r.Method, "path", r.URL.Path, "operation", operation, "error", err, "cause", coded.Cause)
	}
	if entry.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryStore)
	}
	p := problem{ErrorCode: string(coded.Code), StatusCode: entry.Status, Msg: coded.Text(), Details: map[string]string{"operation_id": operation}}
	if coded.Code == postern.CodeNotFound {
		p.ErrorCode, p.Msg = "", "Resource not found"
	} else {
		p.Msg += "\n\n" + entry.Fix
	}
	a.write(w, r, entry.Status, p)
}

// notRouted answers what no route takes, whatever the method, as ngrok does.
func (a *API) notRouted(w http.ResponseWriter, r *http.Request) {
	a.write(w, r, http.StatusNotFound, problem{StatusCode: http.StatusNotFound, Msg: "Not Found",
		Details: map[string]string{"path": clip(r.URL.Path), "operation_id": w.Header().Get(operationHeader)}})
}

// write sends body as JSON; nil sends none.
func (a *API) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		a.config.Logger.ErrorContext(r.Context(), "an answer of the API cannot be written", "path", r.URL.Path, "error", err)
		status = http.StatusInternalServerError
		text.Reset()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the client may be gone
}

// clip shortens what a stranger sent for a message.
func clip(text string) string { return postern.Clip(text, 120) }
