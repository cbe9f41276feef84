package config

// successor is the key that took an older one's place.
type successor struct {
	since string // the version of files in which it did
	key   string
}

// olderAgentKeys and olderTunnelKeys work in every file. In one of a version that has
// another name for the same thing they are worth a word.
var (
	olderAgentKeys = map[string]successor{
		"http_proxy": {"2", "proxy_url"}, "socks5_proxy": {"2", "proxy_url"}, "update": {"2", "update_check"},
		"server_addr": {"3", "connect_url"}, "root_cas": {"3", "connect_cas"},
	}
	olderTunnelKeys = map[string]successor{
		"auth": {"2", "basic_auth"}, "hostname": {"2", "domain"}, "bind_tls": {"2", "schemes"},
		"client_cas": {"2", "mutual_tls_cas"}, "policy": {"2", "traffic_policy"},
	}
)

// older warns of a key that has a successor in files of this version. Bodies of the
// local API have no place and no version: wrappers write whatever they always wrote.
func (r *reader) older(e entry, keys map[string]successor) {
	if now, found := keys[e.key]; found && r.name != "" && r.version >= now.since {
		r.warn(e, "is deprecated; in a file of version "+r.version+" it is "+now.key)
	}
}
