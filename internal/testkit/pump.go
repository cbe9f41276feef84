package testkit

// Pumped is c as a link.Pump, which hands on and fetches on goroutines of its own.
func (c *PipeConn) Pumped() *PumpedConn { return &PumpedConn{c} }

// PumpedConn is one end of a Pipe that hands on and fetches by itself.
type PumpedConn struct{ *PipeConn }

// pumpPiece is less than what relays read at a time.
const pumpPiece = 8 << 10

// Pour has take called with what comes until it says no, or Read fails.
func (c *PumpedConn) Pour(take func(b []byte) bool) error {
	return elsewhere(func() error {
		var piece [pumpPiece]byte
		for {
			n, err := c.Read(piece[:])
			if n > 0 && !take(piece[:n]) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

// Draw sends what fill gives until that is nothing, or Write fails.
func (c *PumpedConn) Draw(fill func(b []byte) int) error {
	return elsewhere(func() error {
		var piece [pumpPiece]byte
		for {
			n := fill(piece[:])
			if n == 0 {
				return nil
			}
			if _, err := c.Write(piece[:n]); err != nil {
				return err
			}
		}
	})
}

// elsewhere runs f on another goroutine and waits for it.
func elsewhere(f func() error) error {
	over := make(chan error)
	go func() { over <- f() }()
	return <-over
}
