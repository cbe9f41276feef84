package chisel

// Remote is one line of a connector's configuration: what the far side listens on and
// what is dialled here (Reverse), or the other way about. Its JSON is chisel's; ports
// are strings.
type Remote struct {
	LocalHost   string // where the listener is, for Reverse at the server
	LocalPort   string
	LocalProto  string // "tcp" or "udp"
	RemoteHost  string // what is dialled
	RemotePort  string
	RemoteProto string // "tcp" or "udp"
	Socks       bool   // the target is chosen by SOCKS5
	Reverse     bool   // the server listens, the client dials
	Stdio       bool   // the local end is standard input and output
}
