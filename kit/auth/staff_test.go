package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
)

// staff is the staff's keys of a folder, with a clock of the test's own.
type staff struct {
	dir, file, owner string
	keys             *auth.StaffKeys
	clock            *clock.Fake
	logs             bytes.Buffer
}

func openStaff(t *testing.T) *staff {
	t.Helper()
	s := &staff{dir: t.TempDir(), clock: clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	s.file = filepath.Join(s.dir, "keys", "staff.key.sha256")
	var err error
	s.keys, s.owner, err = auth.OpenStaff(s.dir, auth.StaffOptions{Log: slog.New(slog.NewTextHandler(&s.logs, nil)), Clock: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *staff) add(t *testing.T, name string, scopes ...string) string {
	t.Helper()
	key, kept := auth.NewStaffKey(name, scopes...)
	if err := auth.ChangeStaff(s.dir, func(known []auth.StaffKey) ([]auth.StaffKey, error) { return append(known, kept), nil }); err != nil {
		t.Error(err)
	}
	return key
}

func TestKeysChangeWhileTheyAreInUse(t *testing.T) {
	s := openStaff(t)
	holds(s.keys, s.owner)
	desk := s.add(t, "anna", "desk", "stock")
	if holds(s.keys, desk) {
		t.Error("the file is looked at for every key")
	}
	s.clock.Advance(time.Second)
	if k, ok := s.keys.Verify(desk); !ok || k.Name != "anna" || !slices.Equal(k.Scopes, []string{"desk", "stock"}) || !holds(s.keys, s.owner) {
		t.Fatalf("a second later it is %+v, %v", k, ok)
	}
	err := auth.ChangeStaff(s.dir, func(known []auth.StaffKey) ([]auth.StaffKey, error) { return known[1:], nil })
	s.clock.Advance(time.Second)
	if err != nil || holds(s.keys, s.owner) || !holds(s.keys, desk) {
		t.Errorf("the owner's key was removed, and holds: %v; %v", holds(s.keys, s.owner), err)
	}
	if info, err := os.Stat(s.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if s.clock.Advance(-time.Hour); !holds(s.keys, desk) {
		t.Error("a clock that goes back loses keys")
	}
}

func TestAKeysFileThatCannotBeReadChangesNothing(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"no hash":            "short key *\n",
		"two of one name":    hash + " anna\n" + hash + " anna\n",
		"two without a name": hash + "\n" + hash + "\n",
		"too many words":     hash + " anna desk stock\n",
		"a name of no kind":  hash + " an;na\n",
		"a scope of no kind": hash + " anna desk,\n",
		"keys without end":   manyKeys(auth.StaffKeysMax + 1),
	} {
		t.Run(name, func(t *testing.T) {
			s := openStaff(t)
			if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s.clock.Advance(time.Second)
			if !holds(s.keys, s.owner) || !strings.Contains(s.logs.String(), "staff keys were not read again") {
				t.Errorf("the owner's key holds: %v; log: %s", holds(s.keys, s.owner), s.logs.String())
			}
			if _, _, err := auth.OpenStaff(s.dir, auth.StaffOptions{}); err == nil {
				t.Error("it is taken at a start")
			}
			if _, err := auth.ListStaff(s.dir); err == nil {
				t.Error("it is listed")
			}
		})
	}
	t.Run("a file that is gone", func(t *testing.T) {
		s := openStaff(t)
		if err := os.Remove(s.file); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(time.Second)
		if !holds(s.keys, s.owner) || !strings.Contains(s.logs.String(), "staff keys were not read again") {
			t.Errorf("log: %s", s.logs.String())
		}
	})
}

func manyKeys(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%064x k%d\n", i, i)
	}
	return text.String()
}

func TestALineMayHaveNoNameAndNoScopes(t *testing.T) {
	s := openStaff(t)
	key, kept := auth.NewStaffKey("")
	if err := os.WriteFile(s.file, fmt.Appendf(nil, "\n%x\n", kept.Hash), 0o600); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Second)
	if k, ok := s.keys.Verify(key); !ok || k.Name != "key" || len(k.Scopes) > 0 {
		t.Errorf("%+v, %v", k, ok)
	}
}

func TestARefusedChangeLeavesTheFile(t *testing.T) {
	s := openStaff(t)
	before, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	err = auth.ChangeStaff(s.dir, func([]auth.StaffKey) ([]auth.StaffKey, error) { return nil, refused })
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	err = auth.ChangeStaff(s.dir, func(known []auth.StaffKey) ([]auth.StaffKey, error) { return append(known, known...), nil })
	if err == nil {
		t.Error("two keys of one name are written")
	}
	if after, err := os.ReadFile(s.file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("%v: %s", err, after)
	}
	if err := auth.ChangeStaff(t.TempDir(), func([]auth.StaffKey) ([]auth.StaffKey, error) { return nil, nil }); err == nil {
		t.Error("keys of no shop are changed")
	}
}

func TestManyMayChangeKeysAtOnce(t *testing.T) {
	s := openStaff(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { s.add(t, fmt.Sprint("k", i)) })
	}
	all.Wait()
	known, err := auth.ListStaff(s.dir)
	if err != nil || len(known) != 21 {
		t.Errorf("%d keys, %v", len(known), err)
	}
}

func TestProcessesThatStartTogetherMakeOneKey(t *testing.T) {
	dir := t.TempDir()
	told := make(chan string, 16)
	var together sync.WaitGroup
	for range cap(told) {
		together.Go(func() {
			_, key, err := auth.OpenStaff(dir, auth.StaffOptions{})
			if _, signErr := auth.OpenSigner(dir); err != nil || signErr != nil {
				t.Error(err, signErr)
			}
			told <- key
		})
	}
	together.Wait()
	close(told)
	var keys []string
	for key := range told {
		if key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) != 1 {
		t.Fatalf("%d keys were told", len(keys))
	}
	opened, _, err := auth.OpenStaff(dir, auth.StaffOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := opened.Verify(keys[0]); !ok {
		t.Error("the key that was told opens nothing")
	}
}
