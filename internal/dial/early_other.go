//go:build !linux

package dial

import "syscall"

// connectEarly does nothing: package net connects.
func connectEarly(string, string, syscall.RawConn) error { return nil }
