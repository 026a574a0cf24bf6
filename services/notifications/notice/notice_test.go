package notice_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func news(event notice.Event) notice.News {
	return notice.News{
		Source: "orders/12", Event: event, At: noon, Order: "ord_1", Subject: "sub_1",
		Facts: notice.Facts{Total: notice.SumOf(money.Of(1234, "GBP")), Lines: 2, Pieces: 5},
	}
}

func TestWhichNewsIsMailed(t *testing.T) {
	want := map[notice.Event]notice.Kind{
		notice.Confirmed: notice.OrderConfirmed, notice.Dispatched: notice.OrderDispatched, notice.Refunded: notice.OrderRefunded,
	}
	for _, event := range notice.Events {
		m, mailed := news(event).Mail(noon)
		if m.Kind != want[event] || mailed != (want[event] != "") {
			t.Errorf("%s makes a mail %q", event, m.Kind)
		}
	}
	nobody := news(notice.Confirmed)
	nobody.Subject = ""
	if m, mailed := nobody.Mail(noon); mailed {
		t.Errorf("nobody is written to: %+v", m)
	}
}

func TestTheBodyIsAStandardWebhook(t *testing.T) {
	n := news(notice.Dispatched)
	last := false
	n.Facts.Last = &last
	want := `{"type":"order.dispatched","timestamp":"2026-03-01T12:00:00Z","data":{"order_id":"ord_1","subject_id":"sub_1",` +
		`"total":{"currency":"GBP","amount":"12.34"},"lines":2,"pieces":5,"last":false}}`
	if got := string(n.Body()); got != want {
		t.Errorf("it is   %s\nwant    %s", got, want)
	}
}

func TestIdsAreOfTheEventAndInTheOrderOfTime(t *testing.T) {
	id := notice.ID("mail", noon, "orders/12")
	if again := notice.ID("mail", noon.In(time.FixedZone("x", 3600)), "orders/12"); again != id {
		t.Errorf("the same event is %s and %s", id, again)
	}
	for _, other := range []string{notice.ID("mail", noon, "orders/13"), notice.ID("mail", noon, "orders/1", "2"), notice.ID("mail", noon, "orders/12", "")} {
		if other == id {
			t.Errorf("another event is %s too", id)
		}
	}
	times := []time.Time{{}, time.Unix(0, 0), noon, noon.Add(time.Millisecond), noon.AddDate(200, 0, 0)}
	var ids []string
	for _, at := range times {
		if made := notice.ID("mail", at, "orders/12"); made < notice.Since("mail", at) || len(made) > 64 {
			t.Errorf("%s is not since %v", made, at)
		} else {
			ids = append(ids, made)
		}
	}
	if !slices.IsSorted(ids) {
		t.Errorf("ids are %v", ids)
	}
	if before := notice.ID("mail", noon.Add(-time.Millisecond), "orders/99"); before >= notice.Since("mail", noon) {
		t.Errorf("%s is since noon", before)
	}
}

func pending(t *testing.T) notice.Mail {
	t.Helper()
	m, mailed := news(notice.Confirmed).Mail(noon)
	if !mailed || m.State != notice.Pending || !m.DueAt.Equal(noon) {
		t.Fatalf("the mail begins as %+v", m)
	}
	return m
}

func TestWhatBecomesOfAMail(t *testing.T) {
	missed := notice.Outcome{Why: "no luck"}
	for name, row := range map[string]struct {
		do   func(notice.Mail) notice.Mail
		want notice.Mail // what differs from the pending mail
	}{
		"sent": {
			func(m notice.Mail) notice.Mail { return m.Tried(notice.Outcome{Sent: true}, noon, 0) },
			notice.Mail{State: notice.Sent, Attempts: 1, SentAt: noon},
		},
		"missed, and due again after a pause": {
			func(m notice.Mail) notice.Mail { return m.Tried(missed, noon, 0) },
			notice.Mail{State: notice.Pending, Attempts: 1, LastError: "no luck", DueAt: noon.Add(30 * time.Second)},
		},
		"missed, with others that are spread by a tenth": {
			func(m notice.Mail) notice.Mail { return m.Tried(missed, noon, 0.5) },
			notice.Mail{State: notice.Pending, Attempts: 1, LastError: "no luck", DueAt: noon.Add(31*time.Second + 500*time.Millisecond)},
		},
		"refused for good": {
			func(m notice.Mail) notice.Mail { return m.Tried(notice.Outcome{Final: true, Why: "550"}, noon, 0) },
			notice.Mail{State: notice.Failed, Attempts: 1, LastError: "550"},
		},
		"untried": {
			func(m notice.Mail) notice.Mail {
				return m.Tried(notice.Outcome{Untried: true, Why: "its turn did not come"}, noon, 0)
			},
			notice.Mail{State: notice.Pending, DueAt: noon},
		},
		"skipped": {
			func(m notice.Mail) notice.Mail { return m.Skip("nobody") },
			notice.Mail{State: notice.Skipped, LastError: "nobody"},
		},
		"without an answer of users": {
			func(m notice.Mail) notice.Mail { return m.Unasked("silence", noon, 0) },
			notice.Mail{State: notice.Pending, Asks: 1, LastError: "silence", DueAt: noon.Add(5 * time.Second)},
		},
		"sent, then asked for again": {
			func(m notice.Mail) notice.Mail {
				return m.Tried(notice.Outcome{Sent: true}, noon, 0).Again(noon.Add(time.Hour))
			},
			notice.Mail{State: notice.Pending, DueAt: noon.Add(time.Hour)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := pending(t)
			w := row.want
			want.State, want.Attempts, want.Asks, want.LastError, want.SentAt, want.DueAt = w.State, w.Attempts, w.Asks, w.LastError, w.SentAt, w.DueAt
			if diff := cmp.Diff(want, row.do(pending(t))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTryingEnds(t *testing.T) {
	m, at := pending(t), noon
	for m.State == notice.Pending {
		m = m.Tried(notice.Outcome{Why: "no luck"}, at, 0.999)
		if m.State == notice.Pending && !m.DueAt.After(at) {
			t.Fatalf("attempt %d is due at once", m.Attempts)
		}
		at = m.DueAt
	}
	if m.State != notice.Failed || m.Attempts != notice.AttemptsMax || m.LastError != "no luck" {
		t.Errorf("in the end it is %+v", m)
	}
	m, at = pending(t), noon
	for m.State == notice.Pending {
		m = m.Unasked("silence", at, 0)
		if !m.DueAt.IsZero() {
			at = m.DueAt
		}
	}
	if m.State != notice.Failed || m.Attempts != 0 || at.Sub(noon) < 3*24*time.Hour || at.Sub(noon) > 4*24*time.Hour {
		t.Errorf("after %v it is %+v", at.Sub(noon), m)
	}
}

func TestFactsComeBackAsTheyWere(t *testing.T) {
	m := pending(t)
	facts, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(news(notice.Confirmed).Facts, facts); diff != "" {
		t.Error(diff)
	}
	m.Facts = []byte("{")
	if _, err := m.Read(); err == nil || !strings.Contains(err.Error(), m.ID) {
		t.Errorf("facts that are none: %v", err)
	}
}

func TestASumWithoutACurrencyIsNone(t *testing.T) {
	text, err := json.Marshal(notice.Facts{Total: notice.SumOf(money.Money{})})
	if err != nil || string(text) != "{}" {
		t.Errorf("it is %s, %v", text, err)
	}
}

func ExampleNews_Mail() {
	n := notice.News{Source: "orders/12", Event: notice.Confirmed, At: time.Unix(0, 0), Order: "ord_1", Subject: "sub_1"}
	m, _ := n.Mail(time.Unix(1, 0))
	fmt.Println(m.Kind, m.State, strings.HasPrefix(m.ID, "mail_000000000000"))
	// Output: order_confirmed pending true
}
