// Package openapi writes the REST API's description in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)
// out of the resource table.
package openapi
