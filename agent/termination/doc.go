// Package termination ends the TLS of visitors at the agent, so that whoever runs the
// server sees nothing of what they say.
//
// The certificate is given, as files or PEM, or obtained: from an ACME server, which
// looks for its proof on the endpoint itself (tls-alpn-01, RFC 8737, through the tunnel),
// or from the CA of the server, which signs for names that the session has online. Either
// way the key is made here and stays here. Files are read again when they have changed;
// certificates that were obtained are renewed while their endpoint is online.
//
// Visitors can be asked for certificates of their own. They are checked at every
// handshake, of resumed sessions too.
package termination
