package mux

import "net"

// wire is a connection below TLS that can send several records in one system call,
// as *link.Wire is.
type wire interface {
	// Gather has writes wait for Flush.
	Gather()
	Flush() error
}

// wireBelow finds the wire that conn stands on; nil if there is none.
func wireBelow(conn net.Conn) wire {
	for {
		if w, ok := conn.(wire); ok {
			return w
		}
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = above.NetConn()
	}
}

// write sends the data of a batch, or control frames alone. What takes several
// records leaves in one system call where the connection can do that.
func (s *Session) write(b []byte) error {
	if s.wire == nil || len(b) <= maxPayload+headerSize {
		_, err := s.conn.Write(b)
		return err
	}
	s.wire.Gather()
	_, err := s.conn.Write(b)
	if failed := s.wire.Flush(); err == nil {
		err = failed
	}
	return err
}
