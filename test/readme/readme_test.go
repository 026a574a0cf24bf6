// Package readme does what the README's first screen says, and holds what comes out
// against what it prints.
package readme

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// block is the fenced code that follows a marker in the README.
func block(t *testing.T, text, marker string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "<!-- "+marker+" -->")
	if !ok {
		t.Fatalf("the README has no marker %q", marker)
	}
	_, after, _ = strings.Cut(after, "```")
	_, after, _ = strings.Cut(after, "\n")
	code, _, _ := strings.Cut(after, "```")
	return code
}

// volatile is what differs from run to run: ids, tokens, times.
var volatile = []*regexp.Regexp{
	regexp.MustCompile(`\b[a-z]{3}_[0-9A-Z]{26}(\.[A-Za-z0-9_-]+)?`),
	regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`),
	regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`),
}

func steady(text string) string {
	for _, v := range volatile {
		text = v.ReplaceAllString(text, "…")
	}
	return text
}

func TestTheFirstOrderOfTheREADME(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	s := shop.Start(t, shop.Options{Args: []string{"--sample"}})
	script := strings.Replace(block(t, string(data), "first order"), "http://127.0.0.1:8080", s.URL, 1)
	says(t, s, string(data), script, "first order")
	after := "SOUK=" + s.URL + "\n" + strings.ReplaceAll(block(t, string(data), "after the sale"), "sleep 1 ", "sleep 4 ")
	says(t, s, string(data), after, "after the sale")
}

// says runs a script, which must print what the README shows.
func says(t *testing.T, s *shop.Shop, readme, script, marker string) {
	t.Helper()
	run := exec.Command("bash", "-euo", "pipefail", "-c", script)
	run.Env = append(os.Environ(), "SOUK_KEY="+s.Key)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("the commands of the README failed: %v\n%s", err, out)
	}
	got, want := answers(t, string(out)), answers(t, block(t, readme, marker+": what it prints"))
	if len(got) != len(want) {
		t.Fatalf("the commands print %d answers, the README shows %d:\n%s", len(got), len(want), out)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("answer %d is\n%s\nthe README shows\n%s", i+1, got[i], want[i])
		}
	}
}

// answers reads JSON values one after the other and writes each in one form.
func answers(t *testing.T, text string) (all []string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(steady(text)))
	for decoder.More() {
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatalf("not JSON: %v\n%s", err, text)
		}
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}
