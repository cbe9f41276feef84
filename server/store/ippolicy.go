package store

// IPPolicy is a named list of rules about addresses.
type IPPolicy struct{ Meta }
