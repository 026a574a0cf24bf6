package house

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The hard stops. Aim for functions of ten lines and files of a hundred.
const (
	FunctionLinesMax = 70
	FileLinesMax     = 600
)

// Lengths keeps functions to a breath and files to a sitting.
func Lengths(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		var out []Finding
		if f.Lines > FileLinesMax {
			out = append(out, t.finding(f.AST.Pos(), "the file has %d lines, more than %d: give its second subject a file of its own", f.Lines, FileLinesMax))
		}
		for _, fn := range functions(f) {
			if n := t.lines(fn); n > FunctionLinesMax {
				out = append(out, t.finding(fn.Pos(), "%s has %d lines, more than %d: branch in the parent, compute in the leaf", fn.Name.Name, n, FunctionLinesMax))
			}
		}
		return out
	})
}

func functions(f *File) []*ast.FuncDecl {
	var out []*ast.FuncDecl
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			out = append(out, fn)
		}
	}
	return out
}

func (t *Tree) lines(n ast.Node) int {
	return t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line + 1
}

// Documented wants a comment on every exported name, and a sentence about every package.
func Documented(t *Tree) []Finding {
	introduced := map[string]bool{}
	first := map[string]*File{}
	for _, f := range t.Files {
		if strings.HasSuffix(f.Path, "_test.go") {
			continue
		}
		introduced[f.Dir] = introduced[f.Dir] || f.AST.Doc != nil
		if first[f.Dir] == nil {
			first[f.Dir] = f
		}
	}
	out := t.each(func(f *File) []Finding {
		var out []Finding
		for _, e := range exported(f) {
			if !e.documented {
				out = append(out, t.finding(e.at, "%s is exported without a comment: say what a caller needs to know, or make it unexported", e.name))
			}
		}
		return out
	})
	for dir, f := range first {
		if !introduced[dir] {
			out = append(out, t.finding(f.AST.Package, "package %s has no comment: begin one of its files with a sentence on what the room is for", path.Base(dir)))
		}
	}
	return sorted(out)
}

// export is one exported name of a package.
type export struct {
	name       string
	at         token.Pos
	documented bool
	method     bool
}

// exported lists the exported names of a file that is no test: functions, types, constants, variables, and the methods of
// exported types.
func exported(f *File) []export {
	if strings.HasSuffix(f.Path, "_test.go") || f.AST.Name.Name == "main" {
		return nil
	}
	var out []export
	for _, d := range f.AST.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) {
				out = append(out, export{d.Name.Name, d.Pos(), d.Doc != nil, d.Recv != nil})
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				out = append(out, exportedSpec(d, s)...)
			}
		}
	}
	return out
}

func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}

// exportedSpec takes a comment on the name, beside it, or over its group.
func exportedSpec(d *ast.GenDecl, s ast.Spec) []export {
	var out []export
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			out = append(out, export{s.Name.Name, s.Pos(), s.Doc != nil || s.Comment != nil || d.Doc != nil, false})
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				out = append(out, export{n.Name, n.Pos(), s.Doc != nil || s.Comment != nil || d.Doc != nil, false})
			}
		}
	}
	return out
}

// unfinished begin the comments of those who meant to come back.
var unfinished = []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}

// Finished wants no notes of unfinished work in the code.
func Finished(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		var out []Finding
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				for _, mark := range unfinished {
					if slices.Contains(strings.FieldsFunc(c.Text, notLetter), mark) {
						out = append(out, t.finding(c.Pos(), "%s: finish it, or open an issue and leave it out", mark))
					}
				}
			}
		}
		return out
	})
}

func notLetter(r rune) bool { return r < 'A' || r > 'Z' && r < 'a' || r > 'z' }

// Licence wants the Apache License, whole.
func Licence(t *Tree) []Finding {
	text := strings.Join(strings.Fields(t.Texts["LICENSE"]), " ")
	for _, part := range []string{"Apache License Version 2.0, January 2004", "TERMS AND CONDITIONS FOR USE", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(text, part) {
			return []Finding{{"LICENSE", 1, "the licence lacks \"" + part + "\": put back the full text of the Apache License 2.0"}}
		}
	}
	return nil
}

// mapDocument is where a newcomer looks a room up.
const mapDocument = "ARCHITECTURE.md"

// Rooms wants every room, and every room of the kit, on the map.
func Rooms(t *Tree) []Finding {
	var out []Finding
	for dir := range t.Dirs {
		parent, name := path.Split(dir)
		if parent != "services/" && parent != "kit/" || name == "internal" {
			continue
		}
		if !mentions(t.Texts[mapDocument], name) {
			out = append(out, Finding{mapDocument, 1, dir + " is not on the map: add a line that says what it is for"})
		}
	}
	return sorted(out)
}

// metricsDocument is where an operator looks a metric up.
const metricsDocument = "docs/observability.md"

// metricName is a whole name of one of our metrics, as a string in the code.
var metricName = regexp.MustCompile(`^"souk_[a-z_]*[a-z]"$`)

// Metrics wants every metric explained.
func Metrics(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		var out []Finding
		ast.Inspect(f.AST, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if ok && !f.Test && metricName.MatchString(lit.Value) && !mentions(t.Texts[metricsDocument], strings.Trim(lit.Value, `"`)) {
				out = append(out, t.finding(lit.Pos(), "metric %s is not explained: add its row to %s", lit.Value, metricsDocument))
			}
			return true
		})
		return out
	})
}

func mentions(text, word string) bool {
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool {
		return notLetter(r) && r != '_' && (r < '0' || r > '9')
	}), word)
}
