// Package material reads the certificates, keys, authorities and revocation lists that
// people give for TLS, and says exactly what is wrong with what they gave.
//
// Most mistakes are two files taken for each other, a chain in another order, or a text
// that a program has changed on its way. What can be understood without a doubt is put
// right and told of in a Warning; everything else is an error that names the field, what
// was found there, and what makes it right. No message quotes what may be a key.
//
// Certificates of the first version, without names, or of the same subject as their
// authority, which old scripts make, are read with a Warning for each defect.
//
// The package reads no files and has no clock: callers give texts and, where it matters,
// the time. Errors are *postern.Error of CodeMaterialInvalid; of CodePassphraseNeeded where
// a key is encrypted and the passphrase is missing or another one.
package material
