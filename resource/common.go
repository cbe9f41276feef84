package resource

import "time"

// Identity is what everything begins with.
type Identity struct {
	ID        string    `json:"id" doc:"Identifies it: a prefix that tells what it is, and 27 characters that sort by age."`
	URI       string    `json:"uri" doc:"Its address in this API."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made: RFC 3339, in UTC, whole seconds."`
}

// Notes are what people and programs write on a resource.
type Notes struct {
	Description string `json:"description" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata" doc:"For programs, up to 4096 bytes; never looked into."`
}

// Ref points to another resource.
type Ref struct {
	ID  string `json:"id" doc:"The other's id."`
	URI string `json:"uri" doc:"The other's address in this API, empty where it has none."`
}

// Moment is the API's form of a time.
func Moment(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
