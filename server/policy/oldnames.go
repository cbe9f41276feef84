package policy

import (
	"slices"
	"strings"
)

// modernize gives rules in the form of old ngrok-rust the names that others have: there
// Inbound and Outbound are lists of objects with Name, Expressions, and Actions, which have
// Type and Config. What stands in a Config is the action's and stays.
func modernize(document *node) {
	for i := range document.fields {
		f := &document.fields[i]
		if f.name != "Inbound" && f.name != "Outbound" {
			continue
		}
		f.name = strings.ToLower(f.name)
		for _, rule := range f.value.items {
			rule.rename("Name", "Expressions", "Actions")
			if actions := rule.get("actions"); actions != nil {
				for _, action := range actions.items {
					action.rename("Type", "Config")
				}
			}
		}
	}
}

// rename writes some fields of an object in lower case. Where there is one of that name
// already, the other stays, to be refused as one that is not known.
func (n *node) rename(names ...string) {
	for i := range n.fields {
		name := n.fields[i].name
		if small := strings.ToLower(name); slices.Contains(names, name) && n.get(small) == nil {
			n.fields[i].name = small
		}
	}
}
