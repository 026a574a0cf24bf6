package replay

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesInTwoRolesAreRefused(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	trade := filepath.Join(dir, "trade.csv")
	if err := os.WriteFile(trade, []byte(head), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link} {
		if err := link(trade, name); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct{ state, quarantine, report, want string }{
		"all different":             {"a", "b", "c", ""},
		"without a report":          {"a", "b", "", ""},
		"devices":                   {"a", os.DevNull, os.DevNull, ""},
		"the state is the file":     {"trade.csv", "b", "c", "FILE and --state"},
		"by a symbolic link":        {"a", "symbolic", "c", "FILE and --quarantine"},
		"by a hard link":            {"a", "b", "hard", "FILE and --report"},
		"not there yet":             {"a", "b", "a", "--state and --report"},
		"not there, spelt two ways": {"a", "x/.." + "/b", dir + "//b", "--quarantine and --report"},
	} {
		err := Apart(Role{"FILE", trade}, Role{"--state", tt.state}, Role{"--quarantine", tt.quarantine}, Role{"--report", tt.report})
		if tt.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, want %q", name, err, tt.want)
		}
	}
}

func TestAQuarantineStaysUntilTheNextIsWhole(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "quarantined.jsonl"), filepath.Join(dir, "link.jsonl")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o644), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	reads := func(when, want string) {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("%s it reads %q, %v, want %q", when, text, err, want)
		}
	}
	again := func(path, text string, then func(*Later) error) {
		t.Helper()
		l, err := NewLater(path)
		if err == nil && text != "" {
			_, err = l.Write([]byte(text))
		}
		if err == nil {
			err = then(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	again(path, "", (*Later).Drop)
	reads("after a failed start", "old")
	again(path, "half", (*Later).Drop)
	reads("after a failed end", "old")
	again(link, "new", (*Later).Keep)
	reads("after a replay", "new")
	again(path, "", (*Later).Keep)
	reads("with nothing quarantined", "")
	again(os.DevNull, "gone", (*Later).Keep)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was written over: %v", err)
	}
	for _, none := range []string{dir, filepath.Join(dir, "no", "folder")} {
		if _, err := NewLater(none); err == nil {
			t.Errorf("%s was taken", none)
		}
	}
}

func TestAStateIsOneReplaysAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.jsonl")
	first, err := openJournal(path, "sum")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(path, "sum"); err == nil || !strings.Contains(err.Error(), "in use by another replay") {
		t.Errorf("a second replay on one state: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	second, err := openJournal(path, "sum")
	if err != nil || second.runs != 2 {
		t.Fatalf("after the first has ended: %v %+v", err, second)
	}
	if err := second.close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoStateIsLeftAsItIs(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		ours bool
	}{
		"empty":                            {"", true},
		"a header that a kill cut off":     {`{"souk_re`, true},
		"the same, later":                  {`{"souk_replay":"0123`, true},
		"a file of one line without end":   {"the merchant's only copy", false},
		"a file of lines":                  {"InvoiceNo,StockCode\n1,2\n", false},
		"JSON of something else":           {`{"souk":1}` + "\n", false},
		"a line that is as short as that":  {"x", false},
		"JSON of something else, no break": {`{"souk_report":1}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := written(t, tt.text)
			j, err := openJournal(path, "sum")
			if tt.ours {
				if err != nil || j.runs != 1 {
					t.Fatalf("%v %+v", err, j)
				}
				if err := j.close(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, errNoState) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error is %v", err)
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != tt.text {
				t.Errorf("it was %q and is %q, %v", tt.text, text, err)
			}
		})
	}
}
