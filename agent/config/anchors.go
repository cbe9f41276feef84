package config

import (
	"github.com/goccy/go-yaml/ast"
)

// mostStandsFor bounds what a file says once its aliases are replaced, in bytes: ten
// lines of aliases may stand for more than a memory holds.
const mostStandsFor = 4 << 20

// anchors replaces the aliases of a tree (YAML 1.2 §7.1) and its merge keys (<<, of YAML
// 1.1, which people still write) by what they stand for. Aliases share it, so that
// messages name the place where it is written. An alias refers to an anchor above it;
// none can be part of what it stands for.
type anchors struct {
	reader *reader
	named  map[string]resolved
}

// resolved is a tree without aliases, and how long it is with all that they stand for.
type resolved struct {
	node ast.Node
	size int
}

// withoutAliases gives the tree that a file means. It changes node.
func (r *reader) withoutAliases(node ast.Node) (ast.Node, error) {
	a := &anchors{r, map[string]resolved{}}
	got, err := a.resolve(node)
	return got.node, err
}

func (a *anchors) resolve(node ast.Node) (resolved, error) {
	switch node := node.(type) {
	case nil:
		return resolved{}, nil
	case *ast.AnchorNode:
		got, err := a.resolve(node.Value)
		if err == nil {
			a.named[node.Name.GetToken().Value] = got
		}
		return got, err
	case *ast.AliasNode:
		got, found := a.named[node.Value.GetToken().Value]
		if !found {
			return got, a.reader.at(node, "%s is an alias of YAML, and no anchor of that name stands above it; a value that begins with * needs quotes",
				clip("*"+node.Value.GetToken().Value))
		}
		return got, nil
	case *ast.MappingValueNode:
		return a.mapping(node, ast.Mapping(node.GetToken(), node.IsFlowStyle, node))
	case *ast.MappingNode:
		return a.mapping(node, node)
	case *ast.SequenceNode:
		return a.sequence(node)
	}
	return resolved{node, len(node.GetToken().Value) + 1}, nil
}

func (a *anchors) sequence(node *ast.SequenceNode) (resolved, error) {
	size := 1
	for i, item := range node.Values {
		got, err := a.resolve(item)
		if err != nil {
			return got, err
		}
		if size += got.size; size > mostStandsFor {
			return got, a.tooMuch(item)
		}
		node.Values[i] = got.node
	}
	return resolved{node, size}, nil
}

// mapping resolves the pairs of a mapping, which stands at place in the file. What is
// merged into it comes behind its own pairs, and only where it has none of that key.
func (a *anchors) mapping(place ast.Node, node *ast.MappingNode) (resolved, error) {
	size := 1
	own := make([]*ast.MappingValueNode, 0, len(node.Values))
	var merged []*ast.MappingValueNode
	for _, pair := range node.Values {
		got, err := a.resolve(pair.Value)
		if err != nil {
			return got, err
		}
		if size += len(pair.Key.GetToken().Value) + got.size; size > mostStandsFor {
			return got, a.tooMuch(pair.Key)
		}
		if _, merge := pair.Key.(*ast.MergeKeyNode); !merge {
			pair.Value = got.node
			own = append(own, pair)
			continue
		}
		pairs, err := a.merged(got.node)
		if err != nil {
			return got, err
		}
		merged = append(merged, pairs...)
	}
	if len(own) == len(node.Values) {
		return resolved{place, size}, nil
	}
	has := make(map[string]bool, len(own))
	for _, pair := range own {
		if key, ok := scalar(pair.Key); ok {
			has[key] = true
		}
	}
	for _, pair := range merged {
		if key, ok := scalar(pair.Key); ok && !has[key] {
			has[key] = true
			own = append(own, pair)
		}
	}
	node.Values = own
	return resolved{node, size}, nil
}

// merged is what a merge key brings: the pairs of a mapping, or of a list of them, where
// the earlier counts.
func (a *anchors) merged(from ast.Node) (pairs []*ast.MappingValueNode, err error) {
	switch from := from.(type) {
	case *ast.MappingNode:
		return from.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{from}, nil
	case *ast.SequenceNode:
		for _, item := range from.Values {
			if _, list := item.(*ast.SequenceNode); list {
				return nil, a.reader.at(item, "<< takes a mapping, or a list of mappings")
			}
			more, err := a.merged(item)
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, more...)
		}
		return pairs, nil
	case nil:
		return nil, nil
	}
	return nil, a.reader.at(from, "<< takes a mapping, or a list of mappings")
}

func (a *anchors) tooMuch(at ast.Node) error {
	return a.reader.at(at, "the file's aliases stand for more than %d bytes", mostStandsFor)
}
