package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestParseKin(t *testing.T) {
	s, err := parseKin([]byte("42 (redis (a) b) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 20 10 20 0 9 0 12345 1 2"))
	if err != nil || s.pid != 42 || s.parent != 7 || s.name != "redis (a) b" || s.cpu != 2300*time.Millisecond {
		t.Errorf("read %+v: %v", s, err)
	}
	if _, err := parseKin([]byte("42 (redis) S 7")); err == nil {
		t.Error("a cut line was read")
	}
}

func TestDescent(t *testing.T) {
	all := map[int]stat{1: {pid: 1}, 10: {pid: 10, parent: 1}, 20: {pid: 20, parent: 10}, 30: {pid: 30, parent: 1}}
	for pid, want := range map[int]bool{20: true, 30: false, 10: false} {
		if got := descends(all, all[pid], 10); got != want {
			t.Errorf("%d descends from 10: %v", pid, got)
		}
	}
}

func TestPlacesAreChosen(t *testing.T) {
	if _, err := parse([]string{"--places", "one,two"}); err == nil {
		t.Error("an unknown placement was taken")
	}
	s, err := parse([]string{"--only", "placements", "--places", "split,bare", "--rounds", "4", "--duration", "20s"})
	if err != nil || s.measures(placeOne) || !s.measures(placeBare) || s.turnOf() != 5*time.Second {
		t.Errorf("chose %+v: %v", s, err)
	}
	if all, err := parse(nil); err != nil || all.wants(apart) {
		t.Errorf("placements are measured unasked: %v", err)
	}
}

func TestBareDoesWhatSplitDid(t *testing.T) {
	f := newFound()
	f.checkouts, f.commits, f.updates, f.server.rows = 100, 200, 800, 4000
	for i, want := range []struct{ commits, rows float64 }{{2, 1}, {8, 1}, {8, 5}} {
		w := bareWays()[i]
		if got := w.commits(&f); got != want.commits || w.rows(&f) != want.rows {
			t.Errorf("%s: %v commits of %v rows, want %v", w.name, got, w.rows(&f), want)
		}
	}
}

func TestPlacementsAreATable(t *testing.T) {
	r := &report{Placements: []placed{{Name: "one", Rate: 600}, {Name: "split", Rate: 150, ShopCPU: 9.5, EnginesCPU: 3}}}
	var out bytes.Buffer
	r.printPlacements(&out)
	for _, want := range []string{"| | one | split |", "| checkouts a second | 600 | 150 |", "| – | 9.50 + 3 |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
}
