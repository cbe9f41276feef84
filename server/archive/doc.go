// Package archive is the file format of a backup: a gzip-compressed tar whose first
// entry, manifest.json, lists every other entry with its size and SHA-256, in the
// order in which they follow.
//
// Whoever reads an archive may not trust it: Read accepts nothing that Write would not
// have written (names that lead elsewhere, links, devices, more bytes or files than the
// limits, an entry more or less than the manifest says), and Extract puts files into a
// directory that it never leaves. An archive is sealed against mistakes and damage, not
// against forgery: who can write one can write its checksums.
package archive
