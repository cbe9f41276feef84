package resource

// ReservedAddr is a TCP address that the account holds until it gives it up.
type ReservedAddr struct {
	Identity
	Notes
	Addr                  string `json:"addr" doc:"Host and port, which the server has chosen."`
	Region                string `json:"region" doc:"Where it is."`
	EndpointConfiguration *Ref   `json:"endpoint_configuration" api:"deprecated" doc:"Always null."`
}

// ReservedAddrCreate makes a ReservedAddr.
type ReservedAddrCreate struct {
	Description string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Region      string `json:"region,omitzero" doc:"A region of the server; its own by default."`
}

// ReservedAddrUpdate changes a ReservedAddr; what is nil stays.
type ReservedAddrUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// ReservedAddrs are the account's TCP addresses.
func ReservedAddrs() Collection[ReservedAddr, ReservedAddrCreate, ReservedAddrUpdate] {
	return Define[ReservedAddr, ReservedAddrCreate, ReservedAddrUpdate](Definition{
		Name: "reserved_addrs", Singular: "reserved address", Prefixes: []string{"ra"}, Operations: All,
		Doc:     "A TCP address that is the account's: endpoints of other accounts cannot have it.",
		Ignored: []string{"endpoint_configuration_id"},
	})
}
