// Package route finds what serves a method and a path. It speaks the path
// templates of google.api.http as far as REST needs them:
//
//	/api/products                     literals
//	/api/products/{product.id}        one segment, never an empty one
//	/api/products:batch               a literal verb
//	/api/orders/{order_id}:cancel     a segment with a verb
//	/files/{path=**}                  all the rest, also none, at the end only; {path...} is the same
//
// Paths are taken escaped, so an id may hold "%2F". A literal wins over a
// variable, but a method that only the variable knows is still found.
package route

import (
	"fmt"
	"slices"
	"strings"
)

// MethodAny is the method of a pattern that serves them all.
const MethodAny = "*"

// Table maps method and path to a T. Fill it before it is shared; afterwards
// it is safe for concurrency.
type Table[T any] struct {
	root node[T]
	size int
}

// Found is one entry of a table.
type Found[T any] struct {
	Value   T
	Pattern string // as it was added
}

type node[T any] struct {
	literals map[string]*node[T]
	one      *node[T]            // {x}
	verbs    map[string]*node[T] // {x}:verb, by verb
	rest     *node[T]            // {x=**}
	methods  []method[T]
}

type method[T any] struct {
	name  string
	found Found[T]
}

// Add makes a pattern known for a method (MethodAny for all). The same method
// and shape twice is an error, for nobody could say which would serve.
func (t *Table[T]) Add(name, pattern string, value T) error {
	n, err := t.root.grow(pattern)
	if err != nil {
		return fmt.Errorf("add route %s %s: %w", name, pattern, err)
	}
	for _, m := range n.methods {
		if m.name == name {
			return fmt.Errorf("add route %s %s: %s is there already", name, pattern, m.found.Pattern)
		}
	}
	n.methods = append(n.methods, method[T]{name, Found[T]{value, pattern}})
	t.size++
	return nil
}

// Len is the number of entries.
func (t *Table[T]) Len() int { return t.size }

func (n *node[T]) grow(pattern string) (*node[T], error) {
	rest, ok := strings.CutPrefix(pattern, "/")
	if !ok {
		return nil, fmt.Errorf("a pattern begins with a slash")
	}
	for rest != "" {
		var seg string
		var more bool
		seg, rest, more = strings.Cut(rest, "/")
		if more && rest == "" {
			return nil, fmt.Errorf("a pattern does not end with a slash")
		}
		next, err := n.child(seg, !more)
		if err != nil {
			return nil, err
		}
		n = next
	}
	return n, nil
}

// child is the node of one segment of a pattern, made if need be.
func (n *node[T]) child(seg string, last bool) (*node[T], error) {
	name, verb, isVar := variable(seg)
	switch {
	case seg == "" || strings.ContainsAny(seg, "{}") && !isVar:
		return nil, fmt.Errorf("segment %q is neither a literal nor a variable", seg)
	case !isVar:
		return made(&n.literals, seg), nil
	case isRest(name):
		if !last || verb != "" {
			return nil, fmt.Errorf("%q may only stand at the end", seg)
		}
		return once(&n.rest), nil
	case strings.Contains(name, "=") && !strings.HasSuffix(name, "=*"):
		return nil, fmt.Errorf("%q: only {x}, {x=*} and {x=**} are understood", seg)
	case verb != "":
		return made(&n.verbs, verb), nil
	}
	return once(&n.one), nil
}

func made[T any](nodes *map[string]*node[T], key string) *node[T] {
	if *nodes == nil {
		*nodes = make(map[string]*node[T])
	}
	if (*nodes)[key] == nil {
		(*nodes)[key] = new(node[T])
	}
	return (*nodes)[key]
}

func once[T any](n **node[T]) *node[T] {
	if *n == nil {
		*n = new(node[T])
	}
	return *n
}

// variable splits "{name}:verb".
func variable(seg string) (name, verb string, ok bool) {
	inner, ok := strings.CutPrefix(seg, "{")
	if !ok {
		return "", "", false
	}
	name, after, ok := strings.Cut(inner, "}")
	if !ok || name == "" || strings.ContainsAny(name, "{}") {
		return "", "", false
	}
	if after == "" {
		return name, "", true
	}
	verb, ok = strings.CutPrefix(after, ":")
	return name, verb, ok && verb != "" && !strings.ContainsAny(verb, "{}:")
}

// Find is the entry that serves the method at the escaped path. HEAD is served
// by GET.
func (t *Table[T]) Find(name, path string) (Found[T], bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return Found[T]{}, false
	}
	if m := t.root.find(name, rest, rest == ""); m != nil {
		return m.found, true
	}
	if name == "HEAD" {
		return t.Find("GET", path)
	}
	return Found[T]{}, false
}

// find walks down; done says that the path is used up. An empty segment, so
// also a trailing slash, matches no variable of one segment.
func (n *node[T]) find(name, path string, done bool) *method[T] {
	if done {
		return n.method(name)
	}
	seg, rest, more := strings.Cut(path, "/")
	if next := n.literals[seg]; next != nil {
		if m := next.find(name, rest, !more); m != nil {
			return m
		}
	}
	if m := n.findVariable(name, seg, rest, !more); m != nil {
		return m
	}
	if n.rest != nil {
		return n.rest.method(name)
	}
	return nil
}

func (n *node[T]) findVariable(name, seg, rest string, done bool) *method[T] {
	if seg == "" {
		return nil
	}
	if id, verb, ok := cutVerb(seg); ok && id != "" && n.verbs[verb] != nil {
		if m := n.verbs[verb].find(name, rest, done); m != nil {
			return m
		}
	}
	if n.one != nil {
		return n.one.find(name, rest, done)
	}
	return nil
}

func cutVerb(seg string) (id, verb string, ok bool) {
	i := strings.LastIndexByte(seg, ':')
	if i < 0 {
		return seg, "", false
	}
	return seg[:i], seg[i+1:], true
}

func (n *node[T]) method(name string) *method[T] {
	for i := range n.methods {
		if m := &n.methods[i]; m.name == name || m.name == MethodAny {
			return m
		}
	}
	return nil
}

// known are the methods that Allow looks for.
var known = [...]string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}

// Allow is the list of methods that the path knows, as the Allow header wants
// it; "" when it knows none, so is not found.
func (t *Table[T]) Allow(path string) string {
	var allow []string
	for _, name := range known {
		if _, ok := t.Find(name, path); ok {
			allow = append(allow, name)
		}
	}
	return strings.Join(allow, ", ")
}

// Values calls use with each variable of the pattern and what the path, which
// matched it, has in its place; still escaped.
func Values(pattern, path string, use func(name, value string)) {
	for pattern != "" {
		var seg, got string
		seg, pattern, _ = strings.Cut(strings.TrimPrefix(pattern, "/"), "/")
		whole := strings.TrimPrefix(path, "/")
		got, path, _ = strings.Cut(whole, "/")
		name, verb, ok := variable(seg)
		switch {
		case !ok:
		case isRest(name):
			use(strings.TrimSuffix(strings.TrimSuffix(name, "=**"), "..."), whole)
			return
		case verb != "":
			use(strings.TrimSuffix(name, "=*"), strings.TrimSuffix(got, ":"+verb))
		default:
			use(strings.TrimSuffix(name, "=*"), got)
		}
	}
}

// isRest tells whether a variable takes all the rest of a path.
func isRest(name string) bool {
	return strings.HasSuffix(name, "=**") || strings.HasSuffix(name, "...")
}

// Methods are the methods and patterns of the table, "GET /api/products",
// sorted by pattern.
func (t *Table[T]) Methods() []string {
	var all []string
	t.root.walk(func(m method[T]) { all = append(all, m.name+" "+m.found.Pattern) })
	slices.SortFunc(all, func(a, b string) int {
		am, ap, _ := strings.Cut(a, " ")
		bm, bp, _ := strings.Cut(b, " ")
		return strings.Compare(ap+" "+am, bp+" "+bm)
	})
	return all
}

func (n *node[T]) walk(visit func(method[T])) {
	if n == nil {
		return
	}
	for _, m := range n.methods {
		visit(m)
	}
	for _, next := range n.literals {
		next.walk(visit)
	}
	for _, next := range n.verbs {
		next.walk(visit)
	}
	n.one.walk(visit)
	n.rest.walk(visit)
}
