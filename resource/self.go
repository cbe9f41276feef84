package resource

import (
	"net/http"
	"reflect"
	"time"
)

// Self is who asks, and with what.
type Self struct {
	Account SelfAccount `json:"account" doc:"The account that the key belongs to."`
	APIKey  *APIKey     `json:"api_key" doc:"The key itself, without its token; null for who has signed in."`
	User    SelfUser    `json:"user" doc:"Whom it acts for."`
}

// SelfAccount is the caller's account.
type SelfAccount struct {
	ID        string    `json:"id" doc:"Identifies it."`
	Name      string    `json:"name" doc:"What people call it."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made."`
}

// SelfUser is the user or service user that a caller acts for.
type SelfUser struct {
	ID        string    `json:"id" doc:"Identifies the user or service user."`
	Name      string    `json:"name" doc:"What people call the user."`
	Email     string    `json:"email" doc:"The user's email; empty for service users."`
	Role      string    `json:"role" doc:"What the user may do: owner, admin, developer or read_only."`
	CreatedAt time.Time `json:"created_at" doc:"Since when the user is in the account."`
}

// Myself is what tells callers who they are.
func Myself() Collection[Self, None, None] {
	return Define[Self, None, None](Definition{
		Name: "self", Singular: "caller", Prefixes: []string{"usr"}, Doc: "Who asks: the account, the key and the user that it acts for.",
		Routes: []Route{{
			Method: http.MethodGet, Status: http.StatusOK, Answer: reflect.TypeFor[Self](),
			Doc: "Tells who asks, and with what.",
		}},
	})
}
