package server

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/obs"
)

// ListenerNames are the listeners that proxy_protocol may name.
func ListenerNames() []string { return []string{"https", "http", "agent", "ssh", "tcp"} }

// Settings is the table of all keys, in the order of the documentation.
func Settings() []Setting {
	return join(nameSettings(), sealingSettings(), listenSettings(), dnsSettings(), publicSettings(), certificateSettings(), gatewaySettings(), policySettings(), limitSettings(), quotaSettings(), timeoutSettings(), logSettings(), futureSettings())
}

func join(groups ...[]Setting) []Setting {
	var all []Setting
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

func nameSettings() []Setting {
	return []Setting{
		scalar("domain", "DOMAIN", "The domain below which everything of this server lives: connect.DOMAIN for agents, tcp.DOMAIN, and the endpoints' names.",
			func(c *Config) *postern.Hostname { return &c.Domain }, parseDomain, postern.Hostname.String),
		scalar("endpoints_domain", "DOMAIN", "Where assigned names live, if not below domain; another registrable domain isolates cookies fully.",
			func(c *Config) *postern.Hostname { return &c.EndpointsDomain }, parseDomain, postern.Hostname.String),
		scalar("data_dir", "DIRECTORY", "Keys, the local CA and, where database names no other, the SQLite database.",
			func(c *Config) *string { return &c.DataDir }, anyText, plain),
		databaseSetting(),
		sequence("api.allowed_origins", "ORIGIN", "Pages of these origins, such as https://console.example.com, may use the REST API from a browser, with a key of their own.",
			func(c *Config) *[]string { return &c.APIOrigins }, parseOrigin, plain),
		regionsSetting(),
		scalar("domains.require_proof", "BOOL", "Whether accounts must prove by a TXT record that a domain outside the server's own is theirs before they reserve it; a server's only account need not.",
			func(c *Config) *bool { return &c.RequireProof }, parseSwitch, strconv.FormatBool),
	}
}

// parseOrigin reads an origin as browsers send it (RFC 6454 §6.2).
func parseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || s != u.Scheme+"://"+strings.ToLower(u.Host) {
		return "", fmt.Errorf("%q must be an origin such as https://console.example.com, in lower case and without a path", clip(s))
	}
	return s, nil
}

func parseSwitch(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("%q must be true or false", clip(s))
	}
	return s == "true", nil
}

func listenSettings() []Setting {
	address := func(name, about string, field func(*Config) *string) Setting {
		return scalar("listen."+name, "ADDRESS", about, field, parseAddress, plain)
	}
	return []Setting{
		address("https", "Visitors over TLS, and agents.", func(c *Config) *string { return &c.Listen.HTTPS }),
		address("http", "Visitors of http:// endpoints; empty switches them off.", func(c *Config) *string { return &c.Listen.HTTP }),
		address("agent", "An extra listener that takes agents only; empty for none.", func(c *Config) *string { return &c.Listen.Agent }),
		address("ssh", "An extra listener that takes SSH clients only, such as :22; empty for none, as listen.https takes them, too.",
			func(c *Config) *string { return &c.Listen.SSH }),
		address("dns", "Resolvers that ask for the names of the server's zones, over UDP and TCP, such as :53; empty switches the zones off.",
			func(c *Config) *string { return &c.Listen.DNS }),
		scalar("listen.tcp", "HOST", "The address on which TCP and UDP endpoints listen; empty is the host of listen.https.",
			func(c *Config) *string { return &c.Listen.TCP }, parseHost, plain),
		scalar("listen.tcp_ports", "FIRST-LAST", "The ports that TCP endpoints may have; empty switches them off.",
			func(c *Config) *PortRange { return &c.Listen.TCPPorts }, parsePorts, PortRange.String),
		scalar("listen.udp_ports", "FIRST-LAST", "The ports that UDP endpoints may have; empty switches them off.",
			func(c *Config) *PortRange { return &c.Listen.UDPPorts }, parsePorts, PortRange.String),
		address("admin", "Metrics, health and debug, for the operator alone; empty switches it off.", func(c *Config) *string { return &c.Listen.Admin }),
		sequence("proxy_protocol", "LISTENER", "The listeners (https, http, agent, ssh, tcp) on which every connection must begin with a PROXY protocol header.",
			func(c *Config) *[]string { return &c.ProxyProtocol }, oneOf(ListenerNames()...), plain),
		sequence("trusted_proxies", "NETWORK", "Peers whose PROXY protocol and X-Forwarded-* headers are believed.",
			func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, parsePrefix, netip.Prefix.String).live(),
	}
}

func publicSettings() []Setting {
	port := func(name, about string, field func(*Config) *uint16) Setting {
		return scalar("public."+name, "PORT", about, field, parsePublicPort, func(n uint16) string { return strconv.Itoa(int(n)) })
	}
	return []Setting{
		port("https_port", "The port in https:// and tls:// URLs; 0 is the listening port.", func(c *Config) *uint16 { return &c.Public.HTTPS }),
		port("http_port", "The port in http:// URLs; 0 is the listening port.", func(c *Config) *uint16 { return &c.Public.HTTP }),
		sequence("ssh.host_certificates", "FILE", "Certificates for the server's SSH host keys, the public halves of which lie in data_dir. The files are read again when they change.",
			func(c *Config) *[]string { return &c.SSH.HostCertificates }, parseFile, plain),
		scalar("http1", "WHO", "Who serves HTTP/1.1: relay, or standard for Go's net/http, which costs twice as much and is there to compare with when a request looks wrong.",
			func(c *Config) *string { return &c.HTTP1 }, oneOf(HTTP1Relay, HTTP1Standard), plain),
	}
}

func gatewaySettings() []Setting {
	return []Setting{
		sequence("gateways.listen_allow", "NETWORK[:PORTS]", "Where private gateways may listen: networks such as 10.1.2.0/24 or [fd00::/8]:8000-8999; without ports those from 1024. What users of the API choose must be among it.",
			func(c *Config) *[]allow.Place { return &c.Gateways.ListenAllow }, parsePlace, allow.Place.String).live(),
		scalar("gateways.probe_every", "DURATION", "How long an endpoint of a private gateway may be without traffic before a connection to its target is opened, and closed at once, to see whether that is there; 0s: never.",
			func(c *Config) *time.Duration { return &c.Gateways.ProbeEvery }, between(0, 24*time.Hour), time.Duration.String).live(),
	}
}

func parsePlace(s string) (allow.Place, error) {
	place, err := allow.ParsePlace(s)
	if err != nil {
		return place, fmt.Errorf("%s", postern.AsError(err).Text())
	}
	return place, nil
}

func limitSettings() []Setting {
	limit := func(name, about string, low, high int, field func(*Config) *int) Setting {
		return scalar("limits."+name, "NUMBER", about, field, within(low, high), strconv.Itoa).live()
	}
	return []Setting{
		limit("connections", "Connections of visitors and agents at once.", 1, 10_000_000, func(c *Config) *int { return &c.Limits.Connections }),
		limit("connections_per_address", "The same from one address (IPv6: one /64).", 1, 10_000_000, func(c *Config) *int { return &c.Limits.ConnectionsPerAddress }),
		scalar("limits.header_bytes", "SIZE", "The largest head of a request.",
			func(c *Config) *int { return &c.Limits.HeaderBytes }, size(4<<10, 1<<20), printSize),
		scalar("limits.http2_streams", "NUMBER", "Requests at once on one HTTP/2 connection.",
			func(c *Config) *int { return &c.Limits.HTTP2Streams }, within(1, 1000), strconv.Itoa),
		limit("least_rate", "Bytes a second that a visitor must send of a request's body, and take of what is sent to it, on average while the server waits for it; 0 switches this off.",
			0, 1<<20, func(c *Config) *int { return &c.Limits.LeastRate }),
		limit("sessions_per_account", "Agents that one account may have connected.", 1, 10_000_000, func(c *Config) *int { return &c.Limits.SessionsPerAccount }),
		limit("endpoints_per_session", "Endpoints that one agent may have online.", 1, 100_000, func(c *Config) *int { return &c.Limits.EndpointsPerSession }),
		scalar("limits.authentications", "NUMBER", "Authentications at once; more wait in a queue.",
			func(c *Config) *int { return &c.Limits.Authentications }, within(1, 10_000), strconv.Itoa),
		scalar("limits.api_requests", "NUMBER", "Requests to the REST API within a minute, of one account.",
			func(c *Config) *int { return &c.Limits.APIRequests }, within(1, 1_000_000_000), strconv.Itoa),
		scalar("limits.api_concurrent", "NUMBER", "Requests to the REST API that are worked on at once, of one account.",
			func(c *Config) *int { return &c.Limits.APIConcurrent }, within(1, 10_000), strconv.Itoa),
		limit("failures_per_minute", "Failed authentications from one address before it is refused unheard.", 1, 100_000, func(c *Config) *int { return &c.Limits.FailuresPerMinute }),
	}
}

// quotaSettings are limits of accounts and credentials.
func quotaSettings() []Setting {
	count := func(name, about string, field func(*Config) *int64) Setting {
		return scalar("limits."+name, "NUMBER", about, field, wide(within(0, 1_000_000_000)), printWide).live()
	}
	bytes := func(name, about string, field func(*Config) *int64) Setting {
		return scalar("limits."+name, "SIZE", about, field, wide(size(0, 1<<30)), func(n int64) string { return printSize(int(n)) }).live()
	}
	return []Setting{
		count("endpoints_per_account", "Endpoints that one account may have online; 0 is no limit, here and below. An account or credential that is given limits of its own has those instead.",
			func(c *Config) *int64 { return &c.Limits.Account.Endpoints }),
		count("connections_per_account", "Visitors' connections and HTTP requests under way to one account's endpoints.", func(c *Config) *int64 { return &c.Limits.Account.Connections }),
		count("requests_per_account", "HTTP requests a minute to one account's endpoints; a minute's worth may come at once.",
			func(c *Config) *int64 { return &c.Limits.Account.RequestsPerMinute }),
		bytes("bytes_per_account", "Bytes a second to and from one account's endpoints, together; what is more is slowed down.",
			func(c *Config) *int64 { return &c.Limits.Account.BytesPerSecond }),
		count("sessions_per_credential", "Agents that may be connected with one credential.", func(c *Config) *int64 { return &c.Limits.Credential.Sessions }),
		count("endpoints_per_credential", "Endpoints that they may have online.", func(c *Config) *int64 { return &c.Limits.Credential.Endpoints }),
		count("connections_per_credential", "Visitors' connections and HTTP requests under way to these.", func(c *Config) *int64 { return &c.Limits.Credential.Connections }),
		count("requests_per_credential", "HTTP requests a minute to these.", func(c *Config) *int64 { return &c.Limits.Credential.RequestsPerMinute }),
		bytes("bytes_per_credential", "Bytes a second to and from these, together.", func(c *Config) *int64 { return &c.Limits.Credential.BytesPerSecond }),
	}
}

func wide(parse func(string) (int, error)) func(string) (int64, error) {
	return func(s string) (int64, error) {
		n, err := parse(s)
		return int64(n), err
	}
}

func printWide(n int64) string { return strconv.FormatInt(n, 10) }

func timeoutSettings() []Setting {
	fixed := func(name, about string, high time.Duration, field func(*Config) *time.Duration) Setting {
		return scalar("timeouts."+name, "DURATION", about, field, between(100*time.Millisecond, high), time.Duration.String)
	}
	timeout := func(name, about string, high time.Duration, field func(*Config) *time.Duration) Setting {
		return fixed(name, about, high, field).live()
	}
	return []Setting{
		timeout("handshake", "TLS and the first bytes of a connection.", 5*time.Minute, func(c *Config) *time.Duration { return &c.Timeouts.Handshake }),
		timeout("request_header", "A request's head, from its first byte.", 5*time.Minute, func(c *Config) *time.Duration { return &c.Timeouts.RequestHeader }),
		timeout("idle", "A kept connection between two requests.", time.Hour, func(c *Config) *time.Duration { return &c.Timeouts.Idle }),
		timeout("patience", "How long a visitor may stay below limits.least_rate; every byte it moves earns more, up to timeouts.transfer.", time.Hour, func(c *Config) *time.Duration { return &c.Timeouts.Patience }),
		timeout("transfer", "A transfer in which nothing moves; one that moves may last for ever.", 24*time.Hour, func(c *Config) *time.Duration { return &c.Timeouts.Transfer }),
		timeout("response_header", "The service's answer to a request.", 24*time.Hour, func(c *Config) *time.Duration { return &c.Timeouts.ResponseHeader }),
		fixed("authentication", "An agent's first message.", 5*time.Minute, func(c *Config) *time.Duration { return &c.Timeouts.Authentication }),
		fixed("upgrade_drain", "What is under way in a server process when another has taken over.", 30*24*time.Hour, func(c *Config) *time.Duration { return &c.Timeouts.UpgradeDrain }),
		fixed("drain", "What is under way at shutdown.", time.Hour, func(c *Config) *time.Duration { return &c.Timeouts.Drain }),
	}
}

func logSettings() []Setting {
	return []Setting{
		scalar("access_log", "PLACE", "One JSON line per request or connection: off, stdout, stderr or a file.",
			func(c *Config) *string { return &c.AccessLog }, parseAccessLog, plain).live(),
		scalar("log.level", "LEVEL", "debug, info, warn or error.",
			func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error"), plain).live(),
		scalar("log.format", "FORMAT", "json, logfmt or console.",
			func(c *Config) *string { return &c.Log.Format }, oneOf(obs.JSON, obs.Logfmt, obs.Console), plain),
	}
}

func parseAccessLog(s string) (string, error) {
	if s == "" || s == "false" {
		return "off", nil
	}
	return s, nil
}

// futureSettings are the keys of the design whose features no code implements yet.
// Set to anything but their empty default they are refused: a server that ignores
// what it was told is worse than one that does not start.
func futureSettings() []Setting {
	return []Setting{
		future("cluster", "a cluster of several nodes"),
	}
}

func future(key, feature string) Setting {
	return Setting{
		Key: key, Argument: "…", About: "Not available in this version: " + feature + ".", future: true,
		set: func(_ *Config, values []string) error {
			if len(values) == 0 || values[0] == "" {
				return nil
			}
			return fmt.Errorf("this version does not have %s; remove the key", feature)
		},
		show: func(Config) string { return "" },
	}
}
