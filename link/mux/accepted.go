package mux

// Accepted tells whether the peer's application has shown that it has the stream:
// it answered, or it opened the window. Only a stream without that sign can still
// be refused, and a refused one was never accepted.
func (st *Stream) Accepted() bool {
	st.session.smu.Lock()
	defer st.session.smu.Unlock()
	return st.accepted && !st.refused.Load()
}
