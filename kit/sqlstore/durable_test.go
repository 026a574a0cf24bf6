package sqlstore

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
)

func TestConnectionWhoseCommitsAreNotDurableIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	for name, weak := range map[string]pragma{
		"an fsync is left out":    {"synchronous", "NORMAL"},
		"the log is not a WAL":    {"journal_mode", "MEMORY"},
		"nothing is ever fsynced": {"synchronous", "OFF"},
	} {
		if c, err := openWriteConn(path, weak); err == nil {
			_ = c.Close()
			t.Errorf("%s and the connection was opened", name)
		}
	}
	c, err := openWriteConn(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestStatementsKeptAreBounded(t *testing.T) {
	c, err := openConn(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range 2 * stmtsMax {
		s, err := c.take(fmt.Sprintf("SELECT %d", n))
		if err != nil {
			t.Fatal(err)
		}
		c.give(s)
	}
	if len(c.stmts) != stmtsMax {
		t.Errorf("%d statements are kept", len(c.stmts))
	}
}

// Pragmas are each connection's own: what a store really writes with is asked, not what it asked for.
func TestEveryConnectionThatAStoreWritesWithIsDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	k, err := newCheckpointer(path, slog.Default(), &sync.Mutex{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.conn.Close()
	for name, c := range map[string]*conn{"writer": s.beneath().(*grouped).writer.conn.(*conn), "checkpointer": k.conn} {
		got, err := c.readPragma("synchronous")
		if err != nil || fmt.Sprint(got) != "[2]" {
			t.Errorf("the %s's synchronous is %v, want FULL, which is 2 (%v)", name, got, err)
		}
	}
}
