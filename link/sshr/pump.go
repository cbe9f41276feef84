package sshr

import (
	"errors"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

const (
	// idleBuffer is what a stream holds that waits, and busyBuffer what it holds once so
	// much has come at once.
	idleBuffer = 2 << 10
	busyBuffer = 32 << 10
	// keptBuffer is how large a buffer for sending may be that an idle stream keeps.
	keptBuffer = 4 << 10
)

// opened makes the channel, or takes one that is there.
type opened func() (ssh.Channel, <-chan *ssh.Request, error)

// run serves the stream until nothing of it is left.
func (st *stream) run(open opened) {
	defer st.carrier.left(st)
	channel, requests, err := open()
	if err != nil {
		st.fail(refusal(err))
		return
	}
	st.mu.Lock()
	st.channel = channel
	late := st.failed != nil || st.forsaken
	st.mu.Unlock()
	if late {
		st.abandon()
	}
	ends := make(chan error, 1) // of what the client sends
	sent := make(chan struct{})
	received := make(chan struct{})
	go func() { defer close(sent); st.send(channel) }()
	go func() { defer close(received); st.receive(channel, ends) }()
	st.listen(requests, ends)
	<-sent
	<-received
	st.finish(ends)
}

// refusal says why there is no channel.
func refusal(err error) *postern.Error {
	var answer *ssh.OpenChannelError
	switch {
	case !errors.As(err, &answer):
		return postern.Errorf(postern.CodeLinkLost, "the SSH connection ended").Because(err)
	case answer.Reason == ssh.ConnectionFailed:
		return postern.Errorf(postern.CodeUpstreamUnreachable, "the SSH client could not connect to the service behind it").Because(err)
	default:
		return postern.Errorf(postern.CodeStreamRefused, "the SSH client did not accept the connection").Because(err)
	}
}

// receive brings what the client sends, a buffer at a time, and then the end.
func (st *stream) receive(channel ssh.Channel, ends chan<- error) {
	buffer := make([]byte, idleBuffer)
	for {
		n, err := channel.Read(buffer)
		if n > 0 && !st.deliver(buffer[:n]) {
			return
		}
		if err != nil {
			// Whether the connection has ended, only the client can say.
			if lost := st.carrier.confirm(); lost != nil {
				ends <- lost
			} else {
				ends <- io.EOF
			}
			return
		}
		if n == len(buffer) && n < busyBuffer {
			buffer = make([]byte, busyBuffer)
		}
	}
}

// deliver waits until Read has taken p; false means that nobody will.
func (st *stream) deliver(p []byte) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.in = p
	st.arrived.Broadcast()
	for len(st.in) > 0 {
		if st.gone {
			st.in = nil
			return false
		}
		st.arrived.Wait()
	}
	return true
}

// send sends what was written, and then the end.
func (st *stream) send(channel ssh.Channel) {
	var spare []byte
	for range st.wake {
		for {
			batch, over := st.next(spare)
			if over {
				return
			}
			if len(batch) == 0 {
				break
			}
			if _, err := channel.Write(batch); err != nil {
				st.stopWriting()
			}
			spare = batch
		}
		if cap(spare) > keptBuffer {
			spare = nil
		}
		st.shut(channel)
	}
}

// next takes what is to be sent, and gives spare to be filled. over tells that nothing
// can be sent any more.
func (st *stream) next(spare []byte) (batch []byte, over bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.failed != nil || st.over {
		return nil, true
	}
	if len(st.out) == 0 {
		if cap(st.out) > keptBuffer {
			st.out = nil
		}
		return nil, false
	}
	batch, st.out = st.out, spare[:0]
	st.room.Broadcast()
	return batch, false
}

// shut tells the client of the end of what we send, once there is one.
func (st *stream) shut(channel ssh.Channel) {
	st.mu.Lock()
	ending, closed := (st.finished || st.closed) && !st.shutdown, st.closed
	st.shutdown = st.shutdown || ending
	st.mu.Unlock()
	if ending {
		_ = channel.CloseWrite()
	}
	if closed {
		_ = channel.Close()
	}
}

// stopWriting says that nobody takes what is written.
func (st *stream) stopWriting() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.deaf == nil {
		st.deaf = postern.Errorf(postern.CodeStreamReset, "the SSH client reads no more of the stream")
	}
	st.out = nil
	st.rouse()
	st.room.Broadcast()
}

// listen takes the client's requests until the channel has ended, and publishes the end
// of what was received behind those that came before it.
func (st *stream) listen(requests <-chan *ssh.Request, ends <-chan error) {
	for {
		select {
		case request, ok := <-requests:
			if !ok {
				st.stopWriting()
				st.mu.Lock()
				st.over = true
				st.rouse()
				st.mu.Unlock()
				return
			}
			st.hear(request)
		case end := <-ends:
			st.hearAll(requests)
			st.publish(end)
		}
	}
}

// hearAll takes the requests that are there.
func (st *stream) hearAll(requests <-chan *ssh.Request) {
	for {
		select {
		case request, ok := <-requests:
			if !ok {
				return
			}
			st.hear(request)
		default:
			return
		}
	}
}

func (st *stream) hear(request *ssh.Request) {
	switch request.Type {
	case resetRequest:
		st.fail(postern.Errorf(postern.CodeStreamReset, "the other side ended the stream"))
	case deafRequest:
		st.stopWriting()
	default:
		if request.WantReply {
			_ = request.Reply(false, nil)
		}
	}
}

// finish publishes an end that nobody listened for any more, and stops the clocks.
func (st *stream) finish(ends <-chan error) {
	select {
	case end := <-ends:
		st.publish(end)
	default:
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.linger != nil {
		st.linger.Stop()
	}
}

// publish has Read give the end behind what is there.
func (st *stream) publish(end error) {
	if lost, ok := errors.AsType[*postern.Error](end); ok {
		st.fail(lost)
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ended = end
	st.arrived.Broadcast()
}
