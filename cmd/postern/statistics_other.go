//go:build !unix

package main

import "os"

// notifyStatistics does nothing: there is no SIGUSR2 here.
func notifyStatistics(chan<- os.Signal) {}

// isHangup is false: there is no SIGHUP here.
func isHangup(os.Signal) bool { return false }
