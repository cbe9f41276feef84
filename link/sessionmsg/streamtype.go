package sessionmsg

// The types of streams: the first four bytes of each, big endian. Only these may
// be used towards an SDK: ngrok-go takes an unknown type for a visitor's
// connection and ngrok-rust reports it as an error.
const (
	TypeAuth         uint32 = 0
	TypeBind         uint32 = 1
	TypeUnbind       uint32 = 2
	TypeProxy        uint32 = 3
	TypeRestart      uint32 = 4
	TypeStop         uint32 = 5
	TypeUpdate       uint32 = 6
	TypeStartLabel   uint32 = 7
	TypeSrvInfo      uint32 = 8
	TypeStopTunnel   uint32 = 9
	TypePatch        uint32 = 10
	TypeAgentMetrics uint32 = 11 // protobuf; agents use it only where AuthRespExtra.AgentMetrics asks for it
	TypeDial         uint32 = 15 // only where Dialect.Dials; 12 to 14 are link/native's own
	TypeCertify      uint32 = 16 // only where Dialect.Certifies
	TypeHeartbeat    uint32 = 0xFFFFFFFF
)
