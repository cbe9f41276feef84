package postern

//go:generate go run ./internal/cataloguegen -in errors.json -go catalogue.go -docs docs/errors.md
