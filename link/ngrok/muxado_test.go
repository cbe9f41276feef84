package ngrok_test

import (
	"testing"

	muxado "golang.ngrok.com/muxado/v2"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// muxadoAgent is an agent on muxado itself, the multiplexer of the real SDK: it
// says with a window update for each Read that it has accepted a stream, and
// refuses what its queue cannot hold.
type muxadoAgent struct {
	session  muxado.TypedStreamSession
	admitted *linktest.Admitted
	served   chan error
}

func joinMuxado(t *testing.T, userAgent string, backlog uint32) *muxadoAgent {
	t.Helper()
	registrar := linktest.NewRegistrar(token)
	near, far := testkit.Pipe()
	a := &muxadoAgent{
		served:  serve(t, far, registrar),
		session: muxado.NewTypedStreamSession(muxado.Client(near, &muxado.Config{AcceptBacklog: backlog})),
	}
	stream, err := a.session.OpenTypedStream(muxado.StreamType(sessionmsg.TypeAuth))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	hello := link.Hello{Token: token, Agent: postern.AgentInfo{UserAgent: userAgent}}
	if err := sessionmsg.Write(stream, sessionmsg.NewAuth(hello, nil)); err != nil {
		t.Fatal(err)
	}
	var response sessionmsg.AuthResp
	if err := sessionmsg.Read(stream, &response); err != nil || response.Error != "" {
		t.Fatal(err, response.Error)
	}
	if a.admitted, err = registrar.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// accept gives the next visitor's stream, as SDKs take it: type and header are
// read inline. It answers our heartbeats meanwhile.
func (a *muxadoAgent) accept() (muxado.TypedStream, error) {
	for {
		stream, err := a.session.AcceptTypedStream()
		if err != nil {
			return nil, err
		}
		if uint32(stream.StreamType()) == sessionmsg.TypeHeartbeat {
			go answerHeartbeat(stream)
			continue
		}
		_, err = sessionmsg.ReadProxyHeader(stream)
		return stream, err
	}
}

func answerHeartbeat(stream muxado.TypedStream) {
	defer stream.Close()
	beat := make([]byte, 4)
	for {
		if _, err := stream.Read(beat); err != nil {
			return
		}
		if _, err := stream.Write(beat); err != nil {
			return
		}
	}
}

func (a *muxadoAgent) close() {
	a.session.Close()
	<-a.served
}
