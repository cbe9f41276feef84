//go:build !linux

package setup

func holder(string, uint16) string { return "" }
