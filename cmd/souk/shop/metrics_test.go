package shop_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// document is where an operator looks a metric up. The families of its first table are in every shop; those of the others
// only where the heading says.
const document = "../../../docs/observability.md"

// family is a metric's name with its labels, "souk_bus_letters consumer".
var family = regexp.MustCompile(`fqName: "(souk_[a-z_]*)", help: .*, constLabels: \{(.*)\}, variableLabels: \{([^}]*)\}`)

// constants are the labels that a collector always gives, `store="orders"`.
var constants = regexp.MustCompile(`(\w+)="`)

// registered are the families that a shop tells Prometheus of. It exports traces, so that those of the export are there.
func registered(t *testing.T) []string {
	t.Helper()
	var s shop.Settings
	if _, err := config.Load(s.Sections(), config.Sources{}); err != nil {
		t.Fatal(err)
	}
	s.Telemetry.Endpoint = "http://127.0.0.1:1" // nobody's; the shop does not mind
	o := telemetry.Options{Out: io.Discard}
	if err := s.Telemetry.Apply(&o); err != nil {
		t.Fatal(err)
	}
	tel := telemetry.New(o)
	open, err := shop.Open(t.Context(), shop.Options{Dir: t.TempDir(), Settings: s, Telemetry: tel})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := open.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := tel.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return families(tel.Registry)
}

func families(r *prometheus.Registry) []string {
	told := make(chan *prometheus.Desc)
	go func() { r.Describe(told); close(told) }()
	var out []string
	for d := range told {
		if m := family.FindStringSubmatch(d.String()); m != nil {
			labels := strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' })
			for _, constant := range constants.FindAllStringSubmatch(m[2], -1) {
				labels = append(labels, constant[1])
			}
			slices.Sort(labels)
			out = append(out, strings.TrimSpace(m[1]+" "+strings.Join(labels, ", ")))
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // a family of one collector a room is one family
}

// described reads the rows of the document's tables of metrics; everywhere are those of the first.
func described(t *testing.T) (everywhere, somewhere []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Metrics\n")
	section, _, end := strings.Cut(section, "\n## ")
	if !ok || !end {
		t.Fatalf("%s has no section on metrics", document)
	}
	for i, part := range strings.Split(section, "\n### ") {
		rows := rowsOf(part)
		if i == 0 {
			everywhere = rows
		}
		somewhere = append(somewhere, rows...)
	}
	return everywhere, somewhere
}

var name = regexp.MustCompile("`(souk_[a-z_]*)`")

func rowsOf(text string) (rows []string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		labels := strings.FieldsFunc(cells[3], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(labels)
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			rows = append(rows, strings.TrimSpace(m[1]+" "+strings.Join(labels, ", ")))
		}
	}
	slices.Sort(rows)
	return rows
}

func TestEveryMetricIsDescribedAndEveryDescribedOneIsThere(t *testing.T) {
	there := registered(t)
	everywhere, somewhere := described(t)
	if len(there) < 20 || len(everywhere) < 20 {
		t.Fatalf("%d families are registered and %d described: one of the two was not read", len(there), len(everywhere))
	}
	for _, f := range there {
		if !slices.Contains(somewhere, f) {
			t.Errorf("%q is registered and has no row with these labels in docs/observability.md", f)
		}
	}
	for _, f := range everywhere {
		if !slices.Contains(there, f) {
			t.Errorf("docs/observability.md has a row for %q, which no shop registers with these labels: move it under the heading of where it is, or take it out", f)
		}
	}
	spelt := literals(t)
	for _, f := range somewhere {
		metric, _, _ := strings.Cut(f, " ")
		if !slices.Contains(there, f) && !slices.ContainsFunc(spelt, func(l string) bool { return l == metric || strings.HasSuffix(metric, "_"+l) }) {
			t.Errorf("docs/observability.md has a row for %s, which no program registers: take it out", metric)
		}
	}
}

var literal = regexp.MustCompile(`"([a-z]+_[a-z_]*[a-z])"`)

// literals are the strings in the program that could name a metric, whole or behind a prefix.
func literals(t *testing.T) (all []string) {
	t.Helper()
	for _, dir := range []string{"kit", "services", "gateway"} {
		err := filepath.WalkDir("../../../"+dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
				all = append(all, m[1])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
