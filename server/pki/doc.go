// Package pki is where the edge gets its certificates from.
//
//   - LocalCA makes them: a root of its own, which people may trust because it can
//     vouch for our names only, and certificates on demand for exactly the name that
//     a visitor asks for.
//   - Files loads what somebody else has made, and notices when it was renewed.
//   - Bindings signs the keys of operators in Kubernetes clusters, for clients only.
//
// The first two give a GetCertificate for tls.Config that answers (nil, nil) for a name that
// is none of ours. crypto/tls then sends the alert unrecognized_name (RFC 6066 §3):
// a stranger never sees another tenant's certificate.
package pki
