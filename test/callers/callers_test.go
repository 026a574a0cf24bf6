// Package callers compares three accounts of who asks whom: what the contracts allow, what the rooms' code dials, and what the
// rooms say they need; and the table in docs/network.md with them.
package callers

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	kitv1 "github.com/seed-21071466/souk/gen/kit/v1"
)

const (
	root     = "../.."
	module   = "github.com/seed-21071466/souk/"
	document = root + "/docs/network.md"
)

// roomOf is the room of a package of contracts, souk.orders.v1 or gen/souk/orders/v1; "" for any other.
func roomOf(pkg string) string {
	parts := strings.FieldsFunc(pkg, func(r rune) bool { return r == '.' || r == '/' })
	if n := len(parts); n >= 3 && parts[n-3] == "souk" && parts[n-2] != "type" {
		return parts[n-2]
	}
	return ""
}

// contract is a method that some room may call.
type contract struct {
	room, method string // "orders", "Orders.Get"
	callers      []string
	again        bool // it may be heard twice
}

func contracts() (out []contract) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				rule, _ := proto.GetExtension(m.Options(), kitv1.E_Rule).(*kitv1.Rule)
				if room := roomOf(string(f.Package())); room != "" && len(rule.GetCallers()) > 0 {
					options, _ := m.Options().(*descriptorpb.MethodOptions)
					again := options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
					out = append(out, contract{room, string(service.Name()) + "." + string(m.Name()), rule.Callers, again})
				}
			}
		}
		return true
	})
	slices.SortFunc(out, func(a, b contract) int { return strings.Compare(a.room+a.method, b.room+b.method) })
	return out
}

// dialled is what the code of a room calls of others: "orders calls carts Carts.Get".
func dialled(t *testing.T, caller string) map[string]bool {
	t.Helper()
	clients, files := map[string]string{}, sources(t, caller)
	for _, f := range files {
		maps.Copy(clients, clientsOf(f, caller))
	}
	calls, used := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				callsOf(fn, clients, func(holder, method string) {
					used[holder] = true
					calls[caller+" calls "+strings.TrimSuffix(clients[holder], "Client")+"."+method] = true
				})
			}
		}
	}
	for holder, client := range clients {
		if !used[holder] {
			t.Errorf("%s holds a %s in %s and never calls it: this test would not see calls made another way", caller, client, holder)
		}
	}
	return calls
}

func sources(t *testing.T, room string) (files []*ast.File) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "services", room), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		files = append(files, f)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("read the code of %s: %d files, %v", room, len(files), err)
	}
	return files
}

// clientsOf are the types of a file that hold a client of another room: "Carts.client" → "carts CartsClient".
func clientsOf(f *ast.File, caller string) map[string]string {
	packages := map[string]string{}
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		room := roomOf(strings.TrimPrefix(path, module))
		if room != "" && room != caller && strings.HasPrefix(path, module+"gen/") && spec.Name != nil {
			packages[spec.Name.Name] = room
		}
	}
	clients := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		typ, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := typ.Type.(*ast.StructType); ok {
			for _, field := range s.Fields.List {
				pkg, name, ok := selector(field.Type)
				if ok && packages[pkg] != "" && strings.HasSuffix(name, "Client") {
					for _, id := range field.Names {
						clients[typ.Name.Name+"."+id.Name] = packages[pkg] + " " + name
					}
				}
			}
		}
		return true
	})
	return clients
}

func selector(e ast.Node) (pkg, name string, ok bool) {
	s, isSelector := e.(*ast.SelectorExpr)
	if !isSelector {
		return "", "", false
	}
	id, ok := s.X.(*ast.Ident)
	if !ok {
		return "", "", false
	}
	return id.Name, s.Sel.Name, true
}

// callsOf finds receiver.client.Method( in a method.
func callsOf(fn *ast.FuncDecl, clients map[string]string, found func(holder, method string)) {
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	if !ok || len(fn.Recv.List[0].Names) == 0 {
		return
	}
	self := fn.Recv.List[0].Names[0].Name
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, field, ok := selector(method.X); ok && of == self && clients[id.Name+"."+field] != "" {
			found(id.Name+"."+field, method.Sel.Name)
		}
		return true
	})
}

func TestTheContractsNameWhoeverCalls(t *testing.T) {
	allowed, called := map[string]bool{}, map[string]bool{}
	for _, c := range contracts() {
		for _, caller := range c.callers {
			allowed[caller+" calls "+c.room+" "+c.method] = true
		}
	}
	needs := map[string][]string{}
	for _, r := range (shop.Settings{}).Rooms() {
		maps.Copy(called, dialled(t, r.Name))
		needs[r.Name] = slices.Sorted(slices.Values(r.Needs))
	}
	if len(called) == 0 {
		t.Fatal("no room calls another one: this test looks in the wrong place")
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(called)), slices.Sorted(maps.Keys(allowed))); diff != "" {
		t.Errorf("what the rooms call (-) and what the contracts allow by callers in kit.v1.rule (+) differ:\n%s", diff)
	}
	for caller, needed := range needs {
		var asked []string
		for line := range called {
			if words := strings.Fields(line); words[0] == caller && !slices.Contains(asked, words[2]) {
				asked = append(asked, words[2])
			}
		}
		slices.Sort(asked)
		if !slices.Equal(asked, needed) {
			t.Errorf("%s needs %v and asks %v: make Needs in its door what it asks", caller, needed, asked)
		}
	}
}

func TestTheDocumentHasTheTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| room | method | callers | heard twice |\n|---|---|---|---|\n")
	for _, c := range contracts() {
		again := "no"
		if c.again {
			again = "does no harm"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", c.room, c.method, strings.Join(c.callers, ", "), again)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), b.String()+"\n") {
		t.Errorf("docs/network.md has another table than the contracts; put this one there:\n%s", b.String())
	}
}
