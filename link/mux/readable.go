package mux

// Readable tells whether Read would return at once: with bytes, the end or an error.
// Whoever keeps idle streams learns so, without reading, which of them are no longer
// good.
func (st *Stream) Readable() bool {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	return st.unread > 0 || st.readErr != nil
}

// Unread tells whether bytes have come that Read has not returned.
func (st *Stream) Unread() bool {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	return st.unread > 0
}
