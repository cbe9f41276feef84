package native

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

const (
	// callTimeout bounds a request whose caller set no deadline.
	callTimeout = 30 * time.Second

	// headTimeout bounds the reading of what leaves the server in one frame: a
	// proxy header, a command.
	headTimeout = 10 * time.Second

	// commandsAtOnce bounds the server's commands and notices in work.
	commandsAtOnce = 8
)

// ClientConfig is the agent's side.
type ClientConfig struct {
	Hello link.Hello // says who we are; ClientID and Cookie of a Welcome before bring the names back

	// Commands carries out what an operator asks; its error is told to the server.
	// It may end the process after its return, not before: the answer leaves then.
	// nil refuses everything; say so in Hello.Unsupported too.
	Commands func(ctx context.Context, c link.Command) error

	// OnEndpointStopped hears of an endpoint that the server took offline. It must
	// not block. nil ignores it.
	OnEndpointStopped func(id string, why *postern.Error)

	// Dial makes one more connection like the one given to Connect, its TLS handshake
	// done, for bulk. nil: the session has one connection, whatever the server offers.
	Dial func(ctx context.Context) (net.Conn, error)

	Logger *slog.Logger
}

// Client is the agent's side of a session. All methods may be called concurrently.
type Client struct {
	carriers
	dialler
	config    ClientConfig
	commands  sync.WaitGroup
	slots     chan struct{}
	dials     bool // the extension is in force
	certifies bool // and so is this one
	end       context.CancelFunc
	closed    chan struct{}
}

var _ link.Acceptor = (*Client)(nil)

// Connect authenticates over conn, whose TLS handshake is done, and takes conn
// over; on error it is closed. Errors are *postern.Error: what the server said, or
// CodeLinkLost when the connection failed or ctx ended.
func Connect(ctx context.Context, conn net.Conn, config ClientConfig) (*Client, link.Welcome, error) {
	if err := checkTLS(conn); err != nil {
		_ = conn.Close()
		return nil, link.Welcome{}, err
	}
	c := &Client{
		config: config,
		slots:  make(chan struct{}, commandsAtOnce),
		closed: make(chan struct{}),
	}
	budget := mux.NewBudget()
	c.init(newCarrier(conn, true, clientLimits, budget, agentBacklog, config.Logger), budget, config.Logger)
	c.life, c.end = context.WithCancel(context.WithoutCancel(ctx))
	c.zero.AfterDone(c.endWithCarrier)
	welcome, err := c.authenticate(ctx)
	if err != nil {
		c.Close(postern.AsError(err))
		<-c.Closed()
		return nil, link.Welcome{}, err
	}
	return c, welcome, nil
}

// clientLimits: the agent trusts the server that it dialled, within reason. On
// further carriers it opens legs, and fewer than the server accepts.
var (
	clientLimits   = mux.Limits{PeerStreams: 1 << 16, OpenStreams: 64, Buffered: 256 << 20}
	furtherAtAgent = mux.Limits{PeerStreams: 1 << 16, OpenStreams: 1024, Buffered: 256 << 20}
)

// endWithCarrier ends everything else with carrier 0: commands, further carriers
// and those on their way.
func (c *Client) endWithCarrier() {
	c.end()
	c.carriers.end(c.zero.Cause())
	c.serving.Wait()
	<-c.zero.Closed()
	close(c.closed)
}

func (c *Client) authenticate(ctx context.Context) (link.Welcome, error) {
	offered := []string{extensionDrain, extensionDial, extensionCertify}
	if c.config.Dial != nil {
		offered = append(offered, extensionCarriers)
	}
	auth := sessionmsg.NewAuth(c.config.Hello, offered)
	var response sessionmsg.AuthResp
	if err := call(ctx, c.zero, sessionmsg.TypeAuth, auth, &response); err != nil {
		return link.Welcome{}, err
	}
	welcome, err := response.Welcome()
	agreed := response.Extra.Postern
	c.certifies = err == nil && agreed != nil && slices.Contains(agreed.Names, extensionCertify)
	if err == nil && agreed != nil && slices.Contains(agreed.Names, extensionDial) {
		c.dials = true
		limits := clientLimits
		limits.OpenStreams += mostDialled
		c.zero.SetLimits(limits)
	}
	if err == nil && agreed != nil && c.config.Dial != nil && slices.Contains(agreed.Names, extensionCarriers) {
		c.dial, c.session, c.secret = c.config.Dial, agreed.Session, agreed.Secret
		c.more, c.closes = c.dialMore, true
		c.enable(agreed.Carriers)
	}
	return welcome, err
}

// Bind takes an endpoint online. Errors are *postern.Error: the server's, or
// CodeLinkLost.
func (c *Client) Bind(ctx context.Context, r link.BindRequest) (link.Bound, error) {
	message, err := newBind(r)
	if err != nil {
		return link.Bound{}, err
	}
	var response sessionmsg.BindResp
	if err := call(ctx, c.zero, sessionmsg.TypeBind, message, &response); err != nil {
		return link.Bound{}, err
	}
	return readReply(&response)
}

// Unbind takes an endpoint offline, by the ID of its Bound. An unknown id is no
// error.
func (c *Client) Unbind(ctx context.Context, id string) error {
	var response sessionmsg.UnbindResp
	if err := call(ctx, c.zero, sessionmsg.TypeUnbind, sessionmsg.Unbind{ID: id}, &response); err != nil {
		return err
	}
	return asError(sessionmsg.ParseErrorText(response.Error, postern.CodeInternal))
}

// Patch changes an endpoint while it stays online; what is nil stays as it is. A new
// policy is in force when it returns.
func (c *Client) Patch(ctx context.Context, p link.Patch) error {
	message := sessionmsg.PatchTunnelState{
		TunnelID: string(p.EndpointID), Name: p.Name, Description: p.Description, Metadata: p.Metadata,
		PoolingEnabled: p.Pooling, TrafficPolicy: p.TrafficPolicy,
	}
	var response sessionmsg.PatchTunnelStateResp
	if err := call(ctx, c.zero, sessionmsg.TypePatch, message, &response); err != nil {
		return err
	}
	return asError(sessionmsg.ParseErrorText(response.Error, postern.CodeInternal))
}

// Ping measures one round trip to the server. It fails with CodeLinkLost when the
// session is dead or ctx ends first.
func (c *Client) Ping(ctx context.Context) (time.Duration, error) { return c.carriers.Ping(ctx) }

// Draining is closed when the server asks to take the next streams over a new
// session. Streams that are open live on; Close when they have ended. Bind and
// Unbind fail with CodeLinkDraining from then on.
func (c *Client) Draining() <-chan struct{} { return c.carriers.Draining() }

// Close ends the session and every stream, and tells the server why. Only the
// first call counts.
func (c *Client) Close(why *postern.Error) { c.carriers.Close(why) }

// Done is closed once the session has ended for whatever reason; Cause then says
// why.
func (c *Client) Done() <-chan struct{} { return c.carriers.Done() }

// Closed is closed a moment after Done, when all connections are closed.
func (c *Client) Closed() <-chan struct{} { return c.closed }

// Cause says why the session ended; nil before.
func (c *Client) Cause() *postern.Error { return c.carriers.Cause() }

// Streams counts the open streams.
func (c *Client) Streams() int { return c.carriers.Streams() }

// call sends one request on a stream of its own and reads the reply.
func call(ctx context.Context, carrier *mux.Session, streamType uint32, request, response any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, err := sessionmsg.Encode(request)
	if err != nil {
		return err
	}
	stream, err := carrier.Open(ctx, streamType, raw)
	if err != nil {
		return err
	}
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { stream.Reset(&postern.Error{Code: postern.CodeStreamReset}) })
	defer stop()
	if err := sessionmsg.Read(stream, response); err != nil {
		if coded := postern.AsError(err); coded.Code != postern.CodeInternal && ctx.Err() == nil {
			return coded
		}
		return postern.Errorf(postern.CodeLinkLost, "the server did not answer").Because(err)
	}
	return nil
}

// Accept blocks for the next visitor's stream. Commands and notices of the server
// that arrive meanwhile are handled on goroutines of their own.
func (c *Client) Accept(ctx context.Context) (link.Header, link.Stream, error) {
	for {
		streamType, stream, err := c.zero.Accept(ctx)
		if err != nil {
			return link.Header{}, nil, err
		}
		if streamType == sessionmsg.TypeProxy {
			header, err := readHeader(stream)
			if err == nil {
				return header, c.wrap(stream), nil
			}
			c.config.Logger.WarnContext(ctx, "a stream without a readable header was refused", "error", err)
			stream.Reset(postern.Errorf(postern.CodeProtocolViolation, "the proxy header cannot be read"))
			continue
		}
		select {
		case c.slots <- struct{}{}:
			c.commands.Go(func() { c.obey(streamType, stream) })
		default:
			stream.Reset(postern.Errorf(postern.CodeStreamRefused, "the agent is busy with %d commands", commandsAtOnce))
		}
	}
}

// readHeader does not wait in practice: the header came with the stream.
func readHeader(stream link.Stream) (link.Header, error) {
	if err := stream.SetReadDeadline(time.Now().Add(headTimeout)); err != nil {
		return link.Header{}, err
	}
	header, err := sessionmsg.ReadProxyHeader(stream)
	if err != nil {
		return link.Header{}, err
	}
	return header, stream.SetReadDeadline(time.Time{})
}

// obey carries out one command or notice.
func (c *Client) obey(streamType uint32, stream link.Stream) {
	defer func() { <-c.slots }()
	defer stream.Close()
	defer func() {
		if reason := recover(); reason != nil {
			c.config.Logger.ErrorContext(c.life, "a command failed", "panic", reason, "stack", string(debug.Stack()))
		}
	}()
	_ = stream.SetReadDeadline(time.Now().Add(headTimeout))
	switch streamType {
	case sessionmsg.TypeRestart:
		c.command(stream, &sessionmsg.Restart{}, func() link.Command { return link.Command{Action: link.Restart} })
	case sessionmsg.TypeStop:
		c.command(stream, &sessionmsg.Stop{}, func() link.Command { return link.Command{Action: link.Stop} })
	case sessionmsg.TypeUpdate:
		var update sessionmsg.Update
		c.command(stream, &update, func() link.Command {
			return link.Command{Action: link.Update, Version: update.Version, PermitMajor: update.PermitMajorVersion}
		})
	case sessionmsg.TypeStopTunnel:
		c.stopped(stream)
	case typeMore:
		c.asked(stream)
	default:
		stream.Reset(postern.Errorf(postern.CodeProtocolViolation, "this agent takes no streams of type %d", streamType))
	}
}

// command reads request, runs what it asks for and answers.
func (c *Client) command(stream link.Stream, request any, build func() link.Command) {
	err := sessionmsg.Read(stream, request)
	switch {
	case err != nil:
	case c.config.Commands == nil:
		err = postern.Errorf(postern.CodeCommandFailed, "this agent takes no commands")
	default:
		err = c.config.Commands(c.life, build())
	}
	var response sessionmsg.CommandResp
	if err != nil {
		response.Error = sessionmsg.ErrorText(commandError(err))
	}
	if err := sessionmsg.Write(stream, response); err != nil {
		c.config.Logger.DebugContext(c.life, "the answer to a command could not be sent", "error", err)
	}
}

// commandError keeps the words of an error without a code: the reader is our
// operator, who asked for the command.
func commandError(err error) *postern.Error {
	var coded *postern.Error
	if errors.As(err, &coded) {
		return coded
	}
	return postern.Errorf(postern.CodeCommandFailed, "%v", err)
}

// stopped hands the server's notice on.
func (c *Client) stopped(stream link.Stream) {
	var notice sessionmsg.StopTunnel
	if err := sessionmsg.Read(stream, &notice); err != nil {
		c.config.Logger.DebugContext(c.life, "a notice of the server cannot be read", "error", err)
		return
	}
	if c.config.OnEndpointStopped == nil {
		return
	}
	why := sessionmsg.ParseErrorText(notice.Message+"\n\n"+notice.ErrorCode+"\n", postern.CodeEndpointOffline)
	c.config.OnEndpointStopped(notice.ID, why)
}

// asError keeps a nil *postern.Error a nil error.
func asError(err *postern.Error) error {
	if err == nil {
		return nil
	}
	return err
}
