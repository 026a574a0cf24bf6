package sandbox

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
)

func TestWhatIsAnsweredIsOnTheDisk(t *testing.T) {
	ctx := context.Background()
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Create(ctx, provider.Draft{Key: "k", Amount: money.Of(1, "GBP"), Token: "tok_ok"})
	if err != nil {
		t.Fatal(err)
	}
	_, confirm := s.confirm(p.ID, "a") // Confirm's own part, without the reading that ends it
	if confirm != nil || s.journal.synced < s.journal.size {
		t.Errorf("confirmed, %v, with %d of %d bytes synced", confirm, s.journal.synced, s.journal.size)
	}
	for _, key := range []string{"first", "second"} { // the second is refused, which is on the disk too
		if _, err := s.Capture(ctx, p.ID, key, money.Of(1, "GBP"), true); err != nil || s.journal.synced < s.journal.size {
			t.Errorf("captured, %v, with %d of %d bytes synced", err, s.journal.synced, s.journal.size)
		}
	}
	if _, err := s.Refund(ctx, p.ID, "rfd", money.Of(1, "GBP")); err != nil || s.journal.synced < s.journal.size {
		t.Errorf("refunded, %v, with %d of %d bytes synced", err, s.journal.synced, s.journal.size)
	}
	if _, err := s.Cancel(ctx, p.ID); err != nil || s.journal.synced < s.journal.size {
		t.Errorf("canceled, %v, with %d of %d bytes synced", err, s.journal.synced, s.journal.size)
	}
}

// BenchmarkReplay is how long the first call waits after a start on 100,000
// payments that were authorized and announced.
func BenchmarkReplay(b *testing.B) {
	const payments = 100_000
	dir := b.TempDir()
	write(b, dir, payments)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(dir, Options{})
		if err == nil {
			_, err = s.Get(context.Background(), name("sbx_", 1, payments))
		}
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}

// TestAStartThatIsCutShort ends starts while they read the journal, as a
// process does that is killed then: none of them harms it.
func TestAStartThatIsCutShort(t *testing.T) {
	const payments = 2_000
	dir := t.TempDir()
	before := write(t, dir, payments)
	for n := range 20 {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n) * 50 * time.Microsecond)
		_ = s.Close()
	}
	after, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil || !bytes.HasPrefix(after, before) {
		t.Fatalf("%d bytes became %d, %v", len(before), len(after), err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Get(context.Background(), name("sbx_", 1, payments))
	if err != nil || p.Status != provider.Authorized {
		t.Errorf("the last payment is %+v, %v", p, err)
	}
}

// write makes a journal of payments that were authorized and announced.
func write(t testing.TB, dir string, payments uint32) (lines []byte) {
	t.Helper()
	for n := uint32(1); n <= payments; n++ {
		id, event, key := name("sbx_", 1, n), name("evt_", 1, n), "ord_01JD0000000000000000"+strconv.Itoa(int(n))
		for _, r := range []record{
			{Type: "create", ID: id, Key: key + "/pay/1", Ref: key, Currency: "GBP", Token: "tok_ok", Amount: 1999, At: 1},
			{Type: "confirm", ID: id, Attempt: key + "/pay/1", Status: "authorized", Due: 1 << 60, At: 2},
			{Type: "event", Event: event, ID: id, Kind: "payment.authorized", Copies: 1, Due: 2, At: 2},
			{Type: "sent", Event: event, At: 3},
		} {
			lines = r.append(lines)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, journalName), lines, 0o600); err != nil {
		t.Fatal(err)
	}
	return lines
}

func FuzzRecord(f *testing.F) {
	f.Add(`{"t":"create","id":"sbx_1_1","key":"k","currency":"GBP","token":"tok_ok","amount":1,"at":2}` + "\n")
	f.Add(`{"t":"sent","event":"evt_1_1","later":"member"}` + "\n")
	f.Add(`{"t":"capture","id":"sbx_1_1","key":"cap_1","status":"authorized","amount":60,"captured":60,"final":1,"due":9,"at":2}` + "\n")
	f.Fuzz(func(t *testing.T, line string) {
		var r, again record
		if r.parse(line) != nil {
			return
		}
		if err := again.parse(string(r.append(nil))); err != nil || again != r {
			t.Fatalf("%q is read as %+v, written and read again as %+v, %v", line, r, again, err)
		}
	})
}
