package resource

import (
	"net/http"
	"reflect"
)

// Rotation asks for a new token.
type Rotation struct {
	Overlap *string `json:"overlap,omitzero" doc:"For how long the token before it stays good, such as \"24h\"; \"0s\" ends it at once. 24 hours by default, 90 days at most."`
}

// rotate is the route that gives a T a new token.
func rotate[T any]() Route {
	return Route{
		Method: http.MethodPost, Path: "/{id}/rotate", Status: http.StatusOK,
		Doc:  "Gives it a new token, which is in the answer and is not shown again. The one before it stays good for the overlap.",
		Body: reflect.TypeFor[Rotation](), Answer: reflect.TypeFor[T](),
	}
}
