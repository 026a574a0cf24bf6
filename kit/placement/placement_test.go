package placement_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main{M: m}.Run()) }

var schema = sqlstore.Schema{Name: "placement_test", Files: fstest.MapFS{"001_t.sql": {Data: []byte(`CREATE TABLE t (id INTEGER PRIMARY KEY)`)}}}

const secret = "s3cret"

func options() sqlstore.Options {
	return sqlstore.Options{Name: "room", Schemas: []sqlstore.Schema{schema}}
}

func TestPlacesAreWrittenInSomeWaysAndToldWithoutPasswords(t *testing.T) {
	for text, want := range map[string]string{
		"": "the data folder", "file": "the data folder", "embedded": "the data folder",
		"postgres://u:" + secret + "@h/{room}": "postgres://u:xxxxx@h/room",
	} {
		p, err := placement.ParsePlace(text, "room")
		if err != nil || p.String() != want {
			t.Errorf("%q is %s, %v; want %s", text, p, err, want)
		}
	}
	for _, text := range []string{"redis://u:" + secret + "@h", "postgres:///db", "h:5432", "postgres://u:" + secret + "%zz@h/db", "\x00"} {
		if _, err := placement.ParsePlace(text, "room"); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", text, err)
		}
	}
	a, b := placement.Place("postgres://u:1@H/db"), placement.Place("postgresql://v:2@h:5432/db?sslmode=disable")
	if !a.Same(b) || a.Same(placement.File) || a.Same("postgres://u:1@h/other") {
		t.Error("places are not told apart by their database")
	}
}

func TestTheRecordIsWholeOrAsItWas(t *testing.T) {
	dir := t.TempDir()
	change := func(room string) error {
		return placement.Change(dir, func(r *placement.Record) { r.Rooms[room] = placement.Entry{Place: "postgres://h/db", Move: "mov_1"} })
	}
	for _, room := range []string{"a", "b"} {
		if err := change(room); err != nil {
			t.Fatal(err)
		}
	}
	r, err := placement.Read(dir)
	if err != nil || len(r.Rooms) != 2 || r.Rooms["a"].Move != "mov_1" {
		t.Fatalf("the record is %+v, %v", r, err)
	}
	is, err := os.Stat(filepath.Join(dir, placement.RecordFile))
	if err != nil || is.Mode().Perm() != 0o600 {
		t.Errorf("the record, which has passwords, is %v, %v", is.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, placement.RecordFile), []byte(`{"version": 1, "rooms"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := placement.Read(dir); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("half a record: %v", err)
	}
	if err := change("c"); err == nil {
		t.Error("half a record was written over")
	}
}

// homes are those of a process with this setting.
func homes(t *testing.T, dir, configured string) *placement.Homes {
	t.Helper()
	h := placement.New(dir, placement.Options{Configured: func(string) string { return configured }, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// moved moves the room of a folder to a database, and closes it again.
func moved(t *testing.T, dir, to string) {
	t.Helper()
	h := homes(t, dir, "")
	store, err := h.OpenStore(t.Context(), "room", options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Move("room", to, "staff:key"); err != nil {
		t.Fatal(err)
	}
	ended(t, h, placement.Moved)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T, h *placement.Homes, state string) placement.Status {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := h.MoveOf("room")
		if err != nil {
			t.Fatal(err)
		}
		if s.State != placement.Running {
			if s.State != state || strings.Contains(s.Error, secret) {
				t.Fatalf("the move ended as %+v, want %s", s, state)
			}
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the move does not end: %+v", s)
		}
	}
}

func TestTheNextStartFindsWhatHasMoved(t *testing.T) {
	dir, url := t.TempDir(), enginetest.Database(t)
	moved(t, dir, url)
	cases := map[string]struct{ configured, refusal string }{
		"without a setting":                  {"", ""},
		"with a setting of the same place":   {url, ""},
		"with a setting of another database": {strings.Replace(url, "/test_", "/other_", 1), "remove the setting store.room"},
		"with a setting of the folder":       {"file", "remove the setting store.room"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store, err := homes(t, dir, c.configured).OpenStore(t.Context(), "room", options())
			if err == nil {
				_ = store.Close()
			}
			if c.refusal == "" && err != nil || c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)) {
				t.Errorf("opened: %v, want %q", err, c.refusal)
			}
		})
	}
	if err := os.Remove(filepath.Join(dir, placement.RecordFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := homes(t, dir, "").OpenStore(t.Context(), "room", options()); err == nil || !strings.Contains(err.Error(), "its rows have moved to postgres://") {
		t.Errorf("the file that was left behind: %v", err)
	}
}

func TestSettingsThatLeaveAFileBehindAreRefused(t *testing.T) {
	dir := t.TempDir()
	store, err := homes(t, dir, "").OpenStore(t.Context(), "room", options())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := homes(t, dir, enginetest.Database(t)).OpenStore(t.Context(), "room", options()); err == nil || !strings.Contains(err.Error(), "souk split room --to") {
		t.Errorf("opened: %v", err)
	}
}

func TestAFolderIsServedOnce(t *testing.T) {
	dir := t.TempDir()
	if err := homes(t, dir, "").Take("room"); err != nil {
		t.Fatal(err)
	}
	if err := homes(t, dir, "").Take("room"); err == nil || !strings.Contains(err.Error(), "in use by another souk") {
		t.Errorf("taken twice: %v", err)
	}
}

func TestMovesAreAskedForByStaffAlone(t *testing.T) {
	h := homes(t, t.TempDir(), "")
	store, err := h.OpenStore(t.Context(), "room", options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Stop(); _ = store.Close() })
	staff := h.Handler(func(*http.Request) (string, bool) { return "staff:key", true })
	ask := func(handler http.Handler, method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, bytes.NewBufferString(body)))
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("%s %s tells the password: %s", method, path, w.Body)
		}
		return w.Code, w.Body.String()
	}
	nobody := h.Handler(func(*http.Request) (string, bool) { return "anonymous", false })
	dead := `{"to": "postgres://u:` + secret + `@127.0.0.1:1/db"}`
	for _, c := range []struct {
		handler            http.Handler
		method, path, body string
		want               int
	}{
		{nobody, "POST", "/room", dead, 403},
		{nobody, "GET", "/", "", 403},
		{staff, "POST", "/room", `{}`, 400},
		{staff, "POST", "/room", `{"to": "mysql://u:` + secret + `@h/db"}`, 400},
		{staff, "POST", "/other", dead, 404},
		{staff, "POST", "/room", `{"to": "file"}`, 409},
		{staff, "GET", "/room", "", 404},
		{staff, "POST", "/room", dead, 202},
	} {
		if got, body := ask(c.handler, c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, got, body, c.want)
		}
	}
	s := ended(t, h, placement.Failed)
	if s.Error == "" || !strings.Contains(s.To, "xxxxx") {
		t.Errorf("a move to a server that is not there: %+v", s)
	}
	if code, body := ask(staff, "GET", "/", ""); code != 200 || !strings.Contains(body, s.ID) {
		t.Errorf("the list of moves: %d %s", code, body)
	}
	if code, body := ask(staff, "DELETE", "/room", ""); code != 200 || !strings.Contains(body, placement.Failed) {
		t.Errorf("a move that has ended is aborted: %d %s", code, body)
	}
}

func TestAnUnfinishedRestoreIsNotOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := placement.BeginRestore(dir); err != nil {
		t.Fatal(err)
	}
	if err := homes(t, dir, "").Take("room"); err == nil || !strings.Contains(err.Error(), "a restore has not ended") {
		t.Errorf("taken: %v", err)
	}
	if err := placement.BeginRestore(dir); err == nil {
		t.Error("a folder with something in it was begun again")
	}
	if err := placement.EndRestore(dir, map[string]placement.Entry{"a": {Place: "postgres://h/db"}}); err != nil {
		t.Fatal(err)
	}
	if err := homes(t, dir, "").Take("room"); err != nil {
		t.Errorf("a restored folder: %v", err)
	}
}
