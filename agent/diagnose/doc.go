// Package diagnose finds out how an agent gets to its server, and says in words where
// it stops: it goes the ways of agent/session one by one, as an agent would, notes each
// step with the time that it took, and tells which way an agent would take and why.
package diagnose
