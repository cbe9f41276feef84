package mux

import (
	"strings"
	"unicode/utf8"

	"github.com/postern-dev/postern"
)

// muxCode is an error code on muxado's wire, in RST and GOAWAY frames.
type muxCode uint32

const (
	codeNone            muxCode = 0
	codeProtocol        muxCode = 1
	codeInternal        muxCode = 2
	codeFlowControl     muxCode = 3
	codeStreamClosed    muxCode = 4
	codeStreamRefused   muxCode = 5
	codeCancelled       muxCode = 6
	codeReset           muxCode = 7
	codeFrameSize       muxCode = 8
	codeAcceptQueueFull muxCode = 9
	codeCalm            muxCode = 10 // HTTP/2's "enhance your calm": too much was asked
)

// maxReason bounds the text behind a code, ours and the peer's.
const maxReason = 1024

// muxCodeOf gives the code that comes nearest to why for a peer that does not
// read text.
func muxCodeOf(why *postern.Error) muxCode {
	if why == nil {
		return codeCancelled
	}
	switch why.Code {
	case postern.CodeProtocolViolation:
		return codeProtocol
	case postern.CodeFlowControlViolation:
		return codeFlowControl
	case postern.CodeInternal:
		return codeInternal
	case postern.CodeStreamRefused:
		return codeStreamRefused
	case postern.CodeStreamLimit, postern.CodeServerBusy:
		return codeCalm
	}
	return codeReset
}

// appendReason encodes why as "ERR_x\nmessage", cut to maxReason at a character.
// Only the message for readers travels, never the cause.
func appendReason(b []byte, why *postern.Error) []byte {
	if why == nil {
		return b
	}
	text := string(why.Code) + "\n" + why.Text()
	if len(text) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	return append(b, text...)
}

// parseReason decodes what appendReason encoded. Text of any other form gives
// nil: what a peer says is believed only where it is well formed.
func parseReason(text []byte) *postern.Error {
	if len(text) > maxReason || !utf8.Valid(text) {
		return nil
	}
	code, message, _ := strings.Cut(string(text), "\n")
	digits, found := strings.CutPrefix(code, "ERR_POSTERN_")
	if !found {
		digits, found = strings.CutPrefix(code, "ERR_NGROK_")
	}
	if !found || digits == "" || len(digits) > 6 || strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	return &postern.Error{Code: postern.Code(code), Message: message}
}

// resetError is what a stream's user sees after the peer's RST.
func resetError(code muxCode, reason []byte) *postern.Error {
	if why := parseReason(reason); why != nil {
		return why
	}
	switch code {
	case codeStreamRefused, codeAcceptQueueFull:
		return postern.Errorf(postern.CodeStreamRefused, "The peer refused the stream (mux code %d).", code)
	case codeFlowControl:
		return postern.Errorf(postern.CodeFlowControlViolation, "The peer counts more bytes than its window allowed.")
	}
	return postern.Errorf(postern.CodeStreamReset, "The peer reset the stream (mux code %d).", code)
}
