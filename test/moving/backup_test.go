package moving_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/test/shop"
)

func TestABackupUnderLoadIsRestoredElsewhere(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.One})
	s.Goods(t, 1_000_000, skus...)
	l := shoppers(t, s, 4)
	l.more(t, 20)
	if out, code := shop.Souk(t, "split", "orders", "--to", enginetest.Database(t), "--url", s.URL, "--key", s.Key); code != 0 {
		t.Fatal(out)
	}
	l.more(t, 10)
	before := l.orders()
	folder, file := filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "copy.tar.zst")
	for _, to := range []string{folder, file} {
		out, code := shop.Souk(t, "backup", "--to", to, "--url", s.URL, "--key", s.Key)
		if code != 0 {
			t.Fatal(out)
		}
		t.Log(out)
	}
	s.Verify(t)
	l.more(t, 10)
	all := l.end(t)
	s.Stop()

	sandbox := filepath.Join(s.Dir, "sandbox-provider") // an outsider, which knows of all payments
	for name, args := range map[string][]string{
		"a folder, into files":           {folder},
		"a file, into files":             {file},
		"a folder, into PostgreSQL":      {folder, "--place", "all=" + withPassword(enginetest.Database(t))},
		"a file, orders into PostgreSQL": {file, "--place", "orders=" + enginetest.Database(t)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "restored")
			out, code := shop.Souk(t, append([]string{"restore", "--data", dir}, args...)...)
			if code != 0 || strings.Contains(out, password) {
				t.Fatal(out)
			}
			t.Log(out)
			r := shop.Start(t, shop.Options{Placement: shop.One, Dir: dir, Args: []string{"--set", "payments.sandbox_dir=" + journal(t, sandbox)}})
			r.Key = s.Key // the staff's keys are those that they were
			r.Verify(t, "--acknowledged", list(t, before))
			missing := 0
			for _, id := range all {
				if got, err := r.Try(r.Staff("GET", "/api/orders/"+id, "", nil)); err != nil || got.Status != 200 {
					missing++
				}
			}
			t.Logf("%d orders that were made after the watermark are not there", missing)
			if missing == 0 {
				t.Error("the backup is not of the moment at which it was made")
			}
			m := shoppers(t, r, 2)
			m.more(t, 5)
			r.Verify(t, "--acknowledged", list(t, append(before, m.end(t)...)))
		})
	}
	refused(t, "not empty", "restore", folder, "--data", s.Dir)
}

// journal is a copy of what the provider knows, for each shop that asks it changes it.
func journal(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "provider")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func refused(t *testing.T, why string, args ...string) {
	t.Helper()
	out, code := shop.Souk(t, args...)
	if code == 0 || !strings.Contains(out, why) {
		t.Errorf("souk %v: %d %s, want it refused: %s", args, code, out, why)
	}
}

func TestAnIncompleteRestoreIsNotOpened(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.One})
	s.Goods(t, 10, skus...)
	copied := filepath.Join(t.TempDir(), "copy")
	if out, code := shop.Souk(t, "backup", "--to", copied, "--url", s.URL, "--key", s.Key); code != 0 {
		t.Fatal(out)
	}
	s.Stop()
	part := filepath.Join(copied, "orders", "events", "000001.jsonl.zst")
	if _, err := os.Stat(part); err != nil {
		part = filepath.Join(copied, "pricing", "events", "000001.jsonl.zst")
	}
	content, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(part, content, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	refused(t, "is damaged", "restore", copied, "--data", dir)
	refused(t, "a restore has not ended", "serve", "--data", dir, "--http", "127.0.0.1:0")
	refused(t, "a restore has not ended", "verify", "--data", dir)
	if err := os.Remove(filepath.Join(copied, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	refused(t, "written last", "restore", copied, "--data", dir+"-2")
}
