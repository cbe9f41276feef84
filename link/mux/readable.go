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

// AwaitReadable has wake called, once and soon, when Read would return at once, so that
// nobody has to wait in it; false: it would now. A deadline that passes calls nobody. wake
// must neither block nor use the stream.
func (st *Stream) AwaitReadable(wake func()) bool {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	if st.unread > 0 || st.readErr != nil {
		return false
	}
	st.wake = wake
	return true
}

// noteReadable tells whoever waits that Read may return. rmu is held.
func (st *Stream) noteReadable() {
	st.readable.Broadcast()
	if wake := st.wake; wake != nil {
		st.wake = nil
		wake()
	}
}
