package link

// AfterDone runs f on a goroutine of its own once what is watched has ended, at once
// if it has. stop takes the request back; it reports whether f will not run. What
// has an AfterDone of its own is asked for it: a goroutine that does nothing but
// wait costs an idle agent more than all else that is kept of it.
func AfterDone(watched interface{ Done() <-chan struct{} }, f func()) (stop func() bool) {
	if own, ok := watched.(interface {
		AfterDone(f func()) (stop func() bool)
	}); ok {
		return own.AfterDone(f)
	}
	stopped := make(chan struct{})
	taken := make(chan bool, 1)
	taken <- true
	go func() {
		select {
		case <-watched.Done():
			if <-taken {
				taken <- false
				f()
				return
			}
			taken <- false
		case <-stopped:
		}
	}()
	return func() bool {
		mine := <-taken
		taken <- false
		if mine {
			close(stopped)
		}
		return mine
	}
}
