// Package postgres runs a real PostgreSQL for tests: a cluster of their own in a
// temporary directory, on loopback, with a password that nobody else knows. It finds
// the programs where Debian puts them and in PATH; scripts/test-deps.sh installs them.
//
// Ids must sort as bytes whatever the database's locale, so the cluster has one that
// sorts otherwise (ICU's English).
//
// A package whose tests need databases has one Shared cluster and closes it at the end
// of TestMain.
package postgres
