package sandbox

import (
	"context"
	"testing"

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
	if _, err := s.Cancel(ctx, p.ID); err != nil || s.journal.synced < s.journal.size {
		t.Errorf("canceled, %v, with %d of %d bytes synced", err, s.journal.synced, s.journal.size)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"t":"create","id":"sbx_1_1","key":"k","currency":"GBP","token":"tok_ok","amount":1,"at":2}` + "\n"))
	f.Add([]byte(`{"t":"sent","event":"evt_1_1","later":"member"}` + "\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var r, again record
		if r.parse(line) != nil {
			return
		}
		if err := again.parse(r.append(nil)); err != nil || again != r {
			t.Fatalf("%q is read as %+v, written and read again as %+v, %v", line, r, again, err)
		}
	})
}
