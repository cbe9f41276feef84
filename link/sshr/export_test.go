package sshr

import (
	"net"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// ClientStream is the client's end of a stream, with the same deadlines and resets, for
// tests that look at both.
func ClientStream(conn ssh.Conn, channel ssh.Channel, requests <-chan *ssh.Request) link.Stream {
	here := &net.TCPAddr{}
	st := newStream(&clientEnd{beats{conn: conn}}, here, here, nil)
	go st.run(func() (ssh.Channel, <-chan *ssh.Request, error) { return channel, requests, nil })
	go func() {
		err := conn.Wait()
		st.fail(postern.Errorf(postern.CodeLinkLost, "the connection ended").Because(err))
	}()
	return st
}

type clientEnd struct{ beats beats }

func (c *clientEnd) over(*stream) {}
func (c *clientEnd) left(*stream) {}

func (c *clientEnd) confirm() *postern.Error {
	beat := c.beats.ask()
	<-beat.done
	if beat.err != nil {
		return postern.Errorf(postern.CodeLinkLost, "the connection ended").Because(beat.err)
	}
	return nil
}

// ParseForward reads the payload of a request for a remote forward.
func ParseForward(payload []byte) (address string, port uint32, err error) {
	asked, err := parseForward(payload)
	return asked.address, asked.port, err
}
