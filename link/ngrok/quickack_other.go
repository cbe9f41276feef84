//go:build !linux

package ngrok

// setQuickAck does nothing: only Linux has the option.
func setQuickAck(uintptr) {}
