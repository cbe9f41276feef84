// Package client is the Go client of Postern's REST API.
//
//	c, err := client.New(client.Options{URL: "https://api.example.com", APIKey: key})
//	domains := client.For(c, resource.ReservedDomains())
//	made, err := domains.Create(ctx, resource.ReservedDomainCreate{Domain: "*.customer1.example.com"})
//	for domain, err := range domains.List(ctx, client.Filtered(`obj.domain.endsWith(".example.com")`)) { … }
//
// The resources and their fields are those of package resource, from which the server's
// routes and documents are made too. Errors unwrap to *postern.Error, so that
// postern.HasCode tells what went wrong.
package client
