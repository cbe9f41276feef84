// Package sshca makes the keys of SSH certificate authorities and signs certificates with
// them, in the form of OpenSSH (PROTOCOL.certkeys).
//
// Errors are *postern.Error, with ngrok's codes.
package sshca
