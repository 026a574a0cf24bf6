package house_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-21071466/souk/test/house"
)

// figures asks TestFigures to print; `make house` sets it.
var figures = flag.Bool("figures", false, "print the house's figures")

// rules are all that the house is held to.
var rules = []house.Rule{
	{Name: "imports", Check: house.Imports},
	{Name: "clock", Check: house.Clock},
	{Name: "hearts", Check: house.Hearts},
	{Name: "transactions", Check: house.Transactions},
	{Name: "labels", Check: house.Labels},
	{Name: "metrics", Check: house.Metrics},
	{Name: "commerce", Check: house.Commerce},
	{Name: "lengths", Check: house.Lengths},
	{Name: "documented", Check: house.Documented},
	{Name: "finished", Check: house.Finished},
	{Name: "licence", Check: house.Licence},
	{Name: "rooms", Check: house.Rooms},
}

func load(t *testing.T) *house.Tree {
	t.Helper()
	tree, err := house.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestHouseKeepsItsRules(t *testing.T) {
	tree := load(t)
	for _, rule := range rules {
		t.Run(rule.Name, func(t *testing.T) {
			for _, f := range rule.Check(tree) {
				t.Error(f)
			}
		})
	}
}

func TestEveryRuleCanFail(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.Name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", rule.Name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			tree, err := house.FromArchive(archive)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range rule.Check(tree) {
				what, _, _ := strings.Cut(f.Text, ": ") // the advice after it may be reworded
				got = append(got, fmt.Sprintf("%s:%d: %s", f.Path, f.Line, what))
			}
			if diff := cmp.Diff(wanted(archive), got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// wanted reads the findings that a fixture asks for, one a line.
func wanted(a *txtar.Archive) []string {
	for _, f := range a.Files {
		if f.Name == "want" {
			return strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		}
	}
	return nil
}

func TestALongFunctionAndALongFileAreFound(t *testing.T) {
	source := "package money\n\nfunc long() {\n" + strings.Repeat("\tlong()\n", house.FileLinesMax) + "}\n"
	tree, err := house.FromArchive(&txtar.Archive{Files: []txtar.File{{Name: "money/long.go", Data: []byte(source)}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := house.Lengths(tree); len(got) != 2 {
		t.Errorf("findings are %v, want the file and the function", got)
	}
}

func TestFigures(t *testing.T) {
	f := house.Measure(load(t))
	if f.Files == 0 || f.FunctionMedian == 0 || f.CommentLines == 0 {
		t.Errorf("nothing was measured: %+v", f)
	}
	if *figures {
		fmt.Print(f)
	}
}
