// Package house holds the house rules as tests. Each rule reads the source tree and says what to do about what it finds;
// each has a fixture in testdata that it must refuse, so that no rule can fall silent. The table of who may import whom
// is in imports.go, the figures that `make house` prints are in figures.go.
package house

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// Module is the import path of the repository's root.
const Module = "github.com/seed-21071466/souk"

// Tree is the source of the house, read once.
type Tree struct {
	Fset  *token.FileSet
	Files []*File           // Go files, without gen/ and testdata/, in order of path
	Texts map[string]string // the documents at the root and in docs/, by path
	Dirs  map[string]bool   // every folder
}

// File is one Go file.
type File struct {
	Path  string // below the root, with slashes
	Dir   string
	AST   *ast.File
	Lines int
	Blank int  // of them, the empty ones
	Test  bool // a _test.go file, or one that only tests use
}

// Finding is one place where a rule is broken, and what to do about it.
type Finding struct {
	Path string
	Line int
	Text string
}

// String gives the finding as compilers write theirs.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text) }

// Rule looks at the tree and reports what breaks it.
type Rule struct {
	Name  string // of its fixture, testdata/<name>.txtar
	Check func(*Tree) []Finding
}

// skipped are folders in which no rule applies: generated, foreign or made by programs.
var skipped = []string{".git", "gen", "bin", "souk-data", "testdata", "third_party", "vendor", "node_modules"}

// Load reads the tree below root.
func Load(root string) (*Tree, error) {
	t := newTree()
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			t.Dirs[filepath.ToSlash(rel)] = true
			if slices.Contains(skipped, e.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		return t.read(name, filepath.ToSlash(rel))
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree below %s: %w", root, err)
	}
	return t, nil
}

// FromArchive makes a tree of a fixture. The file "want" in it lists what the rule must find there.
func FromArchive(a *txtar.Archive) (*Tree, error) {
	t := newTree()
	for _, f := range a.Files {
		if f.Name == "want" {
			continue
		}
		for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
			t.Dirs[dir] = true
		}
		if err := t.add(f.Name, f.Data); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func newTree() *Tree {
	return &Tree{Fset: token.NewFileSet(), Texts: map[string]string{}, Dirs: map[string]bool{}}
}

// read takes a file that some rule looks at.
func (t *Tree) read(name, rel string) error {
	if !strings.HasSuffix(rel, ".go") && path.Dir(rel) != "." && path.Dir(rel) != "docs" {
		return nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it went away while we walked
	}
	if err != nil {
		return err
	}
	return t.add(rel, text)
}

func (t *Tree) add(rel string, text []byte) error {
	if !strings.HasSuffix(rel, ".go") {
		t.Texts[rel] = string(text)
		return nil
	}
	parsed, err := parser.ParseFile(t.Fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.Files = append(t.Files, &File{
		Path: rel, Dir: path.Dir(rel), AST: parsed, Test: forTests(rel),
		Lines: bytes.Count(text, []byte("\n")), Blank: bytes.Count(text, []byte("\n\n")),
	})
	return nil
}

// forTests says whether only tests use a file: by its name, or by its folder, as in bustest and faultbus.
func forTests(rel string) bool {
	folder := path.Base(path.Dir(rel))
	return strings.HasSuffix(rel, "_test.go") || strings.HasPrefix(rel, "test/") ||
		strings.HasSuffix(folder, "test") || strings.HasPrefix(folder, "fault")
}

// finding places a message at a node.
func (t *Tree) finding(at token.Pos, format string, args ...any) Finding {
	p := t.Fset.Position(at)
	return Finding{p.Filename, p.Line, fmt.Sprintf(format, args...)}
}

// each asks a question of every file and gathers the answers.
func (t *Tree) each(ask func(*File) []Finding) []Finding {
	var out []Finding
	for _, f := range t.Files {
		out = append(out, ask(f)...)
	}
	return sorted(out)
}

func sorted(findings []Finding) []Finding {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	return findings
}

// below says whether a path is the folder or lies in it.
func below(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }
