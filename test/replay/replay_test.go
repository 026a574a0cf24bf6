package replay

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

func TestAKilledReplayBalancesItsBooks(t *testing.T) {
	for name, file := range map[string]func(*testing.T) string{
		"invented, full of dirt": func(t *testing.T) string { return invent(t, 1, 360) },
		"the first real weeks":   func(t *testing.T) string { return sample(t, 6000) },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, file(t), "--concurrency", "4", "--patience", "10m") // it stands still while the books are checked
			r.replay(t)
			clients := r.killedEarly(t)
			r.end(t)
			got := r.reported(t)
			t.Logf("runs %d, plain %+v, cancellations %+v", got.Runs, got.Plain, got.Canceled)
			if got.Runs != clients+1 {
				t.Errorf("the replay was killed %d times and tells of %d runs", clients, got.Runs)
			}
			if !got.Balanced || got.Plain.Accepted < 20 || len(got.Plain.Refused) == 0 {
				t.Errorf("the replay came to %+v\n%s", got, &r.run.out)
			}
			r.balance(t)
			forgotten(t, r, got)
		})
	}
}

// killedEarly kills the shop four times, and every second time the replay with it, in the
// first quarter of the file: the state tells of a line a moment after it is done, and a replay
// that had ended by then would not be killed at all.
func (r *rig) killedEarly(t *testing.T) (clients int) {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Count(text, []byte{'\n'})
	for kill := range 4 {
		r.await(max(all*(kill+1)/16, r.done.read()+1))
		if r.ended() {
			t.Fatalf("the replay ended before kill %d:\n%s", kill+1, &r.run.out)
		}
		if kill%2 == 1 {
			r.killReplay()
			if status, ok := r.run.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Fatalf("kill %d came after the replay's end:\n%s", kill+1, &r.run.out)
			}
			clients++
		}
		r.killShop()
		r.calmly(t, func() { r.shop.Verify(t) })
		if kill%2 == 1 {
			r.replay(t)
		}
	}
	return clients
}

// forgotten replays once more without a state: the shop's keys know everything.
func forgotten(t *testing.T, r *rig, before reported) {
	t.Helper()
	if err := os.Remove(r.state); err != nil {
		t.Fatal(err)
	}
	r.replay(t)
	r.end(t)
	if after := r.reported(t); after.Plain.Accepted != before.Plain.Accepted || after.Canceled.Accepted != before.Canceled.Accepted {
		t.Errorf("a replay without its state came to %+v, before it was %+v", after, before)
	}
	r.balance(t)
}

func TestTheSecondBooksNoticeAPenny(t *testing.T) {
	r := start(t, invent(t, 5, 60))
	r.replay(t)
	r.end(t)
	r.balance(t)
	text, err := os.ReadFile(r.report)
	if err != nil {
		t.Fatal(err)
	}
	orderID, reference := anOrder(t, r)
	refuse := func(t *testing.T, report, want string) {
		t.Helper()
		out, balanced := r.books(t, report)
		if balanced || !strings.Contains(out, want) {
			t.Errorf("the second books say nothing of it (%q):\n%s", want, out)
		}
	}
	t.Run("in the report", func(t *testing.T) {
		changed := strings.Replace(string(text), `"settled": "`, `"settled": "1`, 1)
		refuse(t, keep(t, []byte(changed)), "settled")
	})
	t.Run("given back beside the file", func(t *testing.T) {
		r.shop.Call(t, 202, r.shop.Refund(orderID, "penny", "0.01"))
		shop.Eventually(t, "the penny is given back", func() bool { return r.shop.Order(t, orderID).Text("payment_state") == "partly_refunded" })
		refuse(t, r.report, "0.01")
	})
	t.Run("an invoice that is bought twice", func(t *testing.T) {
		r.shop.Call(t, 201, r.shop.Staff("POST", "/api/desk/orders", "twice", map[string]any{
			"subject_id": "13000", "reference": reference, "payment": map[string]string{"token": "tok_ok"},
			"lines": []any{map[string]any{"sku": "22000", "quantity": 1}},
		}))
		refuse(t, "", "two orders")
	})
}

// anOrder is a confirmed order without returns.
func anOrder(t *testing.T, r *rig) (id, reference string) {
	t.Helper()
	list := r.shop.Call(t, 200, r.shop.Staff("GET", "/api/orders?state=confirmed&payment_state=captured&page_size=1", "", nil))
	orders, _ := list.JSON()["orders"].([]any)
	if len(orders) == 0 {
		t.Fatalf("no order is captured: %s", list)
	}
	order := orders[0].(map[string]any)
	return order["id"].(string), order["reference"].(string)
}
