package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// timekeepers may look at the machine's clock, each for the reason given.
var timekeepers = map[string]string{
	"kit/clock":     "it is the port",
	"kit/engine":    "it waits for other programs to start and to end",
	"kit/rpc":       "it measures calls and drains by the deadlines of contexts, which are the machine's",
	"kit/sqlstore":  "it measures commits and the wait for them",
	"kit/telemetry": "it measures",
	"gateway":       "it measures requests",
	"cmd":           "it is where the machine's clock is handed out",
	"deploy":        "it starts programs and waits for them",
	"tools":         "no part of the program",
}

// reads are what time offers for looking at the clock or waiting for it. Until is missing: a context's deadline is the
// machine's time whatever clock a room is given.
var reads = []string{"Now", "Since", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// Clock keeps time a port: whoever looks at the machine's clock cannot be simulated.
func Clock(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		if f.Test || keepsTime(f.Dir) {
			return nil
		}
		var out []Finding
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if name, ok := selected(n, "time"); ok && slices.Contains(reads, name) {
				out = append(out, t.finding(n.Pos(), "time.%s looks at the machine's clock: take a clock.Clock, or the time as an argument", name))
			}
			return true
		})
		return out
	})
}

func keepsTime(dir string) bool {
	for keeper := range timekeepers {
		if below(dir, keeper) {
			return true
		}
	}
	return false
}

// Hearts keeps hearts, sagas and money pure beyond their imports: they decide, and start, wait for and print nothing.
func Hearts(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		if kind := placeOf(f.Dir).kind; f.Test || kind != "heart" && kind != "money" {
			return nil
		}
		var out []Finding
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if what := impure(n); what != "" {
				out = append(out, t.finding(n.Pos(), "a heart is pure and may not %s: let app do it and hand the result over as a value", what))
			}
			return true
		})
		return out
	})
}

func impure(n ast.Node) string {
	switch n.(type) {
	case *ast.GoStmt:
		return "start a goroutine"
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "use channels"
	}
	if name, ok := selected(n, "fmt"); ok && (strings.HasPrefix(name, "Print") || strings.HasPrefix(name, "Scan")) {
		return "talk to the terminal (fmt." + name + ")"
	}
	return ""
}

// Transactions keeps the network out of transactions: a function that has a sqlstore.Tx takes its context from it, so
// that an rpc call made with that context panics, and can reach no other.
func Transactions(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		if f.Test || below(f.Dir, "kit/sqlstore") {
			return nil
		}
		var out []Finding
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch fn := n.(type) {
			case *ast.FuncLit:
				if has(fn.Type, "sqlstore", "Tx") {
					out = append(out, t.outsideContext(fn)...)
				}
			case *ast.FuncDecl:
				if has(fn.Type, "sqlstore", "Tx") && has(fn.Type, "context", "Context") {
					out = append(out, t.finding(fn.Pos(), "%s takes a Tx and a context: drop the context and use tx.Context(), with which no call leaves the process", fn.Name.Name))
				}
			}
			return true
		})
		return out
	})
}

// outsideContext finds uses of a ctx that a transaction's closure did not declare itself.
func (t *Tree) outsideContext(fn *ast.FuncLit) []Finding {
	var out []Finding
	declared := false
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE && slices.ContainsFunc(n.Lhs, isContext) {
				declared = true
			}
		case *ast.Field:
			declared = declared || slices.ContainsFunc(n.Names, func(i *ast.Ident) bool { return isContext(i) })
		case *ast.Ident:
			if isContext(n) && !declared {
				out = append(out, t.finding(n.Pos(), "a transaction uses a context from outside: use tx.Context(), and call other rooms before or after the transaction"))
			}
		}
		return true
	})
	return out
}

func isContext(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "ctx"
}

// has says whether a function takes a parameter of a type.
func has(fn *ast.FuncType, pkg, typ string) bool {
	return slices.ContainsFunc(fn.Params.List, func(p *ast.Field) bool {
		name, ok := selected(p.Type, pkg)
		return ok && name == typ
	})
}

// selected gives the name in pkg.Name.
func selected(n ast.Node, pkg string) (string, bool) {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	x, ok := s.X.(*ast.Ident)
	return s.Sel.Name, ok && x.Name == pkg
}

// boundedLabels are the labels that metrics may have, with what bounds the number of their values.
var boundedLabels = map[string]string{
	"room": "the program", "method": "the contracts", "route": "the route table", "code": "gRPC's and HTTP's lists", "status": "HTTP's list",
	"saga": "the program", "step": "the program", "state": "the program", "outcome": "the program", "result": "the program", "kind": "the program",
	"consumer": "the program", "source": "the rooms", "reason": "the program", "provider": "the configuration", "projection": "the program",
	"op": "the program", "store": "the rooms", "component": "the program",
	"version": "the build", "revision": "the build", "go": "the build", "process": "the placement", "service_instance": "the process, which has one",
}

// Labels keeps metrics bounded: a label with an id or a path in it makes a series for each and fills the memory.
func Labels(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		var out []Finding
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && !f.Test {
				out = append(out, t.labels(call)...)
			}
			return true
		})
		return out
	})
}

func (t *Tree) labels(call *ast.CallExpr) []Finding {
	name, ok := selected(call.Fun, "prometheus")
	if !ok || !strings.HasSuffix(name, "Vec") && name != "NewDesc" {
		return nil
	}
	var out []Finding
	for _, arg := range call.Args {
		list, ok := arg.(*ast.CompositeLit)
		if _, isList := litType(list, ok).(*ast.ArrayType); !isList {
			continue
		}
		for _, e := range list.Elts {
			if label, known := bounded(e); !known {
				out = append(out, t.finding(e.Pos(), "metric label %s is not known to be bounded: choose one with few values, and list it with its bound in test/house/behaviour.go", label))
			}
		}
	}
	return out
}

func litType(list *ast.CompositeLit, ok bool) ast.Expr {
	if !ok {
		return nil
	}
	return list.Type
}

func bounded(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return "made by an expression", false
	}
	label, err := strconv.Unquote(lit.Value)
	return strconv.Quote(label), err == nil && boundedLabels[label] != ""
}

// commerce are words that the kit and the front door do not know.
var commerce = []string{"cart", "checkout", "sku", "payment", "invoice", "shipment", "refund", "coupon", "customer", "product", "catalog"}

// spared are names in which such a word is no shop's: the kind of principal that signs in, and HTTP's 402.
var spared = []string{"Customer", "PaymentRequired"}

// Commerce keeps the kit and the gateway fit for a library or a clinic: they name nothing that a shop sells.
func Commerce(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		if f.Test || !below(f.Dir, "kit") && !below(f.Dir, "gateway") {
			return nil
		}
		var out []Finding
		ast.Inspect(f.AST, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || slices.Contains(spared, id.Name) {
				return true
			}
			for _, w := range words(id.Name) {
				if slices.Contains(commerce, strings.TrimSuffix(w, "s")) {
					out = append(out, t.finding(id.Pos(), "%s is a word of commerce (%s): name what the kit does, and let the room say what for", id.Name, w))
				}
			}
			return true
		})
		return out
	})
}

// words splits a Go name at its capitals and underscores.
func words(name string) []string {
	var out []string
	start := 0
	runes := []rune(name)
	for i, r := range runes {
		if i > start && (r == '_' || unicode.IsUpper(r) && !unicode.IsUpper(runes[i-1])) {
			out = append(out, strings.ToLower(strings.Trim(string(runes[start:i]), "_")))
			start = i
		}
	}
	return append(out, strings.ToLower(strings.Trim(string(runes[start:]), "_")))
}
