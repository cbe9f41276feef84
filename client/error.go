package client

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/postern-dev/postern"
)

// Error is what the API answers when it refuses. It unwraps to a *postern.Error with the
// same code and message.
type Error struct {
	Status      int
	Code        postern.Code // empty for what is not there
	Message     string
	OperationID string // names the request in the server's log
}

// Error implements error.
func (e *Error) Error() string { return e.Unwrap().Error() }

// Unwrap gives the coded error; what is not there is CodeNotFound.
func (e *Error) Unwrap() error {
	code := e.Code
	if code == "" && e.Status == http.StatusNotFound {
		code = postern.CodeNotFound
	}
	if code == "" {
		code = postern.CodeAPIUnreachable
	}
	return &postern.Error{Code: code, Message: e.Message}
}

// refusal reads an answer that refuses. What is no answer of the API, such as a proxy's
// page, is told by its status.
func refusal(response *http.Response, text []byte) *Error {
	var body struct {
		ErrorCode  postern.Code      `json:"error_code"`
		StatusCode int               `json:"status_code"`
		Msg        string            `json:"msg"`
		Details    map[string]string `json:"details"`
	}
	e := &Error{Status: response.StatusCode, OperationID: response.Header.Get("Ngrok-Operation-Id")}
	if err := json.Unmarshal(text, &body); err != nil || body.StatusCode == 0 {
		e.Message = "the answer is " + response.Status + ", and not one of a Postern API"
		return e
	}
	// The API adds the next step for people; ours, who show an error, add it themselves.
	e.Code, e.Message = body.ErrorCode, strings.TrimSuffix(body.Msg, "\n\n"+body.ErrorCode.Entry().Fix)
	return e
}
