// Package e2e drives the real program from outside: a server process, agents of
// every kind (ours, alone and behind packages that start one, ngrok's Go SDK, ngrok's
// Node SDK), real services behind them
// (nginx, Node, gRPC, SSH, PostgreSQL) and real visitors before them (net/http,
// curl, psql, ssh, Chromium). Nothing is replaced by a double.
//
// scripts/test-deps.sh installs what it needs; a missing program fails a test, it
// does not skip it.
package e2e
