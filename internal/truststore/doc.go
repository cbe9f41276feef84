// Package truststore has a machine trust a certificate authority, and stop trusting it:
// in the operating system's store and in those of browsers that keep their own.
//
//   - Linux: a file in the folder of local authorities (of Debian, Red Hat, Arch and
//     SUSE, and their relatives), and the command that makes bundles of it.
//   - NSS databases, by certutil of NSS: Chromium's and Chrome's on Linux, Firefox's
//     profiles on Linux and macOS.
//   - macOS: the user's login key chain, by security.
//   - Windows: the user's root store, by certutil.exe.
//
// What is put in bears a name with the certificate's fingerprint, so that a second time
// changes nothing, and that exactly this one is taken out again. Nothing else in a store
// is touched. A store that cannot be changed keeps no other from being changed.
package truststore
