package resource

// ServiceUser is a program that keys and credentials act for, so that they do not end
// with a person's time in the account.
type ServiceUser struct {
	Identity
	Name   string `json:"name" doc:"What people call it; no two of an account have the same."`
	Active bool   `json:"active" doc:"Whether its API keys and credentials are good."`
}

// ServiceUserCreate makes a ServiceUser.
type ServiceUserCreate struct {
	Name   string `json:"name,omitzero" api:"required,checked" doc:"What people call it, up to 255 bytes; no two of an account have the same."`
	Active *bool  `json:"active,omitzero" doc:"Whether its API keys and credentials are good; true by default."`
}

// ServiceUserUpdate changes a ServiceUser; what is nil stays.
type ServiceUserUpdate struct {
	Name   *string `json:"name,omitzero" doc:"What people call it, up to 255 bytes; no two of an account have the same."`
	Active *bool   `json:"active,omitzero" doc:"Whether its API keys and credentials are good. Where they cease to be, its agents' sessions end."`
}

// BotUsers are the account's service users by the name that they had first.
func BotUsers() Collection[ServiceUser, ServiceUserCreate, ServiceUserUpdate] {
	return serviceUsers("bot_users", "bot user", "A service user, by its older name: the same as under /service_users.")
}

// ServiceUsers are the account's service users.
func ServiceUsers() Collection[ServiceUser, ServiceUserCreate, ServiceUserUpdate] {
	return serviceUsers("service_users", "service user",
		"A program that owns API keys and credentials, with a developer's role. To delete it ends all that it owns.")
}

func serviceUsers(name, singular, doc string) Collection[ServiceUser, ServiceUserCreate, ServiceUserUpdate] {
	return Define[ServiceUser, ServiceUserCreate, ServiceUserUpdate](Definition{
		Name: name, Singular: singular, Prefixes: []string{"bot", "service"}, Operations: All, Doc: doc,
	})
}
