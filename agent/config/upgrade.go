package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/postern-dev/postern"
)

// Upgraded is the outcome of Upgrade.
type Upgraded struct {
	Text     []byte
	From, To string
	Notes    []string // what was changed, for people
}

// Upgrade rewrites a file of an older generation, ngrok 1.x included, as version 2 or
// 3; to "" is the next one up. Comments stay where their keys stay. Errors are CodeConfigInvalid: what is there
// cannot be read, or is newer than to.
func Upgrade(name string, text []byte, to string) (Upgraded, error) {
	if to != "" && to != "2" && to != "3" {
		return Upgraded{}, postern.Errorf(postern.CodeConfigInvalid, "version %q is not one of 2, 3", clip(to))
	}
	if token := strings.TrimSpace(string(text)); token != "" && !strings.ContainsAny(token, ": \n") {
		// The first files of all were nothing but a token.
		text = []byte("auth_token: " + quote(token) + "\n")
	}
	text = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	comments := yaml.CommentMap{}
	root, err := ordered(&reader{name: name}, string(text), comments)
	if err != nil {
		return Upgraded{}, err
	}
	u := &upgrade{root: root, from: "none"}
	if v, found := u.get("version"); found {
		u.from = fmt.Sprint(v)
	}
	if to == "" {
		to = map[string]string{"none": "2", "1": "2"}[u.from]
		to = cmp.Or(to, "3")
	}
	if u.from > to && u.from != "none" {
		return Upgraded{}, postern.Errorf(postern.CodeConfigInvalid, "%s: the file is of version %s already; it cannot go back to %s", name, u.from, to)
	}
	if u.from != to {
		u.toVersion2()
		if to == "3" {
			u.toVersion3()
		}
	}
	out, err := yaml.MarshalWithOptions(u.root, yaml.WithComment(comments), yaml.IndentSequence(true))
	if err != nil {
		return Upgraded{}, postern.Errorf(postern.CodeConfigInvalid, "%s: %s", name, clip(err.Error()))
	}
	if _, err := Parse(name, out); err != nil {
		return Upgraded{}, err
	}
	return Upgraded{Text: out, From: u.from, To: to, Notes: u.notes}, nil
}

// ordered reads a file's values with their order, and notes its comments.
func ordered(r *reader, text string, comments yaml.CommentMap) (root yaml.MapSlice, err error) {
	file, err := r.syntax(text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, document := range file.Docs {
		body, err := r.withoutAliases(document.Body)
		if err != nil {
			return nil, err
		}
		if body == nil {
			continue
		}
		if err := yaml.NodeToValue(body, &root, yaml.UseOrderedMap(), yaml.CommentToMap(comments)); err != nil {
			return nil, r.syntaxError(err)
		}
	}
	return root, nil
}

type upgrade struct {
	root  yaml.MapSlice
	from  string
	notes []string
}

func (u *upgrade) note(format string, args ...any) {
	u.notes = append(u.notes, fmt.Sprintf(format, args...))
}

func (u *upgrade) get(key string) (any, bool) { return get(u.root, key) }

func get(m yaml.MapSlice, key string) (any, bool) {
	for _, item := range m {
		if item.Key == key {
			return item.Value, true
		}
	}
	return nil, false
}

// toVersion2 renames and reshapes what older files have.
func (u *upgrade) toVersion2() {
	if u.from == "2" {
		return
	}
	first := u.isFirst()
	u.root = rename(u.root, map[string]string{"auth_token": "authtoken", "inspect_addr": "web_addr", "http_proxy": "proxy_url"}, u.note)
	for i := range u.root {
		item := &u.root[i]
		switch {
		case item.Key == "web_addr" && item.Value == "disabled":
			item.Value = "false"
		case item.Key == "trust_host_root_certs":
			item.Key, item.Value = "root_cas", map[bool]string{true: "host", false: "trusted"}[item.Value == true]
			u.note("trust_host_root_certs is now root_cas: %v", item.Value)
		case item.Key == "tunnels":
			item.Value = u.tunnels(item.Value, first)
		}
	}
	u.root = without(u.root, "version")
	head := yaml.MapSlice{{Key: "version", Value: "2"}}
	if _, found := u.get("region"); !found && u.from == "none" && !first {
		head = append(head, yaml.MapItem{Key: "region", Value: "us"})
		u.note("region: us was the default without a version")
	}
	u.root = append(head, u.root...)
	u.note("version: \"2\"")
}

// isFirst tells a file of ngrok 1.x.
func (u *upgrade) isFirst() bool {
	for key := range firstGeneration {
		if _, found := u.get(key); found {
			return true
		}
	}
	tunnels, _ := u.get("tunnels")
	all, _ := tunnels.(yaml.MapSlice)
	return slices.ContainsFunc(all, func(item yaml.MapItem) bool {
		tunnel, _ := item.Value.(yaml.MapSlice)
		proto, _ := get(tunnel, "proto")
		_, byProtocol := proto.(yaml.MapSlice)
		return byProtocol
	})
}

func (u *upgrade) tunnels(value any, first bool) any {
	all, ok := value.(yaml.MapSlice)
	if !ok {
		return value
	}
	var out yaml.MapSlice
	for _, item := range all {
		tunnel, ok := item.Value.(yaml.MapSlice)
		if !ok {
			out = append(out, item)
			continue
		}
		name := fmt.Sprint(item.Key)
		if first {
			out = append(out, u.firstTunnel(name, tunnel)...)
			continue
		}
		out = append(out, yaml.MapItem{Key: item.Key, Value: u.tunnel(name, tunnel)})
	}
	return out
}

// tunnel turns bind_tls into schemes, auth into basic_auth, hostname into domain.
func (u *upgrade) tunnel(name string, tunnel yaml.MapSlice) yaml.MapSlice {
	proto, _ := get(tunnel, "proto")
	_, said := get(tunnel, "bind_tls")
	_, schemes := get(tunnel, "schemes")
	for i := range tunnel {
		item := &tunnel[i]
		switch item.Key {
		case "bind_tls":
			list, err := ParseBindTLS(fmt.Sprint(item.Value))
			if err != nil {
				continue // Parse says what is wrong with it
			}
			u.note("%s: bind_tls: %v is now schemes", name, item.Value)
			item.Key, item.Value = "schemes", texts(list)
		case "auth":
			u.note("%s: auth is now basic_auth", name)
			item.Key, item.Value = "basic_auth", []any{item.Value}
		case "hostname":
			u.note("%s: hostname is now domain", name)
			item.Key = "domain"
		case "client_cas":
			u.note("%s: client_cas is now mutual_tls_cas", name)
			item.Key = "mutual_tls_cas"
		}
	}
	if proto == "http" && !said && !schemes {
		tunnel = append(tunnel, yaml.MapItem{Key: "schemes", Value: []any{"https", "http"}})
		u.note("%s: schemes says what a file without a version did by itself", name)
	}
	return tunnel
}

func texts[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, one := range list {
		out[i] = string(one)
	}
	return out
}

// firstTunnel makes a tunnel of each protocol that one of ngrok 1.x lists.
func (u *upgrade) firstTunnel(name string, tunnel yaml.MapSlice) yaml.MapSlice {
	value, _ := get(tunnel, "proto")
	protocols, ok := value.(yaml.MapSlice)
	if !ok {
		return yaml.MapSlice{{Key: name, Value: u.tunnel(name, tunnel)}}
	}
	_, hostname := get(tunnel, "hostname")
	_, subdomain := get(tunnel, "subdomain")
	var out yaml.MapSlice
	for _, p := range protocols {
		proto, scheme := fmt.Sprint(p.Key), fmt.Sprint(p.Key)
		made := yaml.MapSlice{{Key: "proto", Value: proto}, {Key: "addr", Value: p.Value}}
		if scheme == "https" || scheme == "http" {
			made[0].Value = "http"
			made = append(made, yaml.MapItem{Key: "schemes", Value: []any{scheme}})
			if !hostname && !subdomain {
				made = append(made, yaml.MapItem{Key: "subdomain", Value: name})
			}
		}
		for _, item := range without(tunnel, "proto") {
			switch item.Key {
			case "remote_port":
				made = append(made, yaml.MapItem{Key: "remote_addr", Value: fmt.Sprintf(":%v", item.Value)})
			case "auth":
				made = append(made, yaml.MapItem{Key: "basic_auth", Value: []any{item.Value}})
			case "hostname":
				made = append(made, yaml.MapItem{Key: "domain", Value: item.Value})
			default:
				made = append(made, item)
			}
		}
		label := name
		if len(protocols) > 1 {
			label = name + "-" + scheme
		}
		u.note("%s: %s is now a tunnel %s", name, scheme, label)
		out = append(out, yaml.MapItem{Key: label, Value: made})
	}
	return out
}

// toVersion3 moves the keys of the agent below "agent".
func (u *upgrade) toVersion3() {
	var agent, rest yaml.MapSlice
	for _, item := range u.root {
		switch item.Key {
		case "version", "region":
		case "tunnels", "endpoints", "agent":
			rest = append(rest, item)
		default:
			agent = append(agent, item)
		}
	}
	agent = rename(agent, map[string]string{"server_addr": "connect_url", "root_cas": "connect_cas"}, u.note)
	u.root = yaml.MapSlice{{Key: "version", Value: 3}}
	if len(agent) > 0 {
		u.root = append(u.root, yaml.MapItem{Key: "agent", Value: agent})
	}
	u.root = append(u.root, rest...)
	u.note("version: 3, with the agent's keys below agent")
}

func rename(m yaml.MapSlice, names map[string]string, note func(string, ...any)) yaml.MapSlice {
	for i := range m {
		if to, found := names[fmt.Sprint(m[i].Key)]; found {
			note("%v is now %s", m[i].Key, to)
			m[i].Key = to
		}
	}
	return m
}

func without(m yaml.MapSlice, key string) yaml.MapSlice {
	return slices.DeleteFunc(slices.Clone(m), func(item yaml.MapItem) bool { return item.Key == key })
}
