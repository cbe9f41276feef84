package mux

// SetMaxWindow replaces Config.MaxWindow for what comes, between Window and
// 2 GiB. Not every muxado peer bears large windows: ngrok-rust never sends more
// than the initial one ahead, so it would wait for credit that is only due after
// half of a larger window has come, for ever. Who the peer is shows after it has
// authenticated, so a session starts with tuning off and turns it on then.
func (s *Session) SetMaxWindow(bytes uint32) {
	s.windowOf.Store(int64(min(max(bytes, s.config.Window), maxStream)))
}
