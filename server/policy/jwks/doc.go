// Package jwks has the public keys that an issuer of tokens publishes as a JSON Web Key Set
// (RFC 7517): it reads them, keeps them as long as the issuer says, asks again for a key
// that it does not know, and goes on with the last good ones while the issuer is silent.
//
// A key is only given out for the signature algorithms that are for its kind, its curve and
// what the set says about it. There are no secrets in a set of public keys, so there is no
// algorithm with a shared secret, and none without a signature.
package jwks
