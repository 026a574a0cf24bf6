package mailtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// Noon is when the suite's mails are sent.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Letter is a mail as a mail program shows it.
type Letter struct {
	MessageID, From, To, Subject string
	Date                         time.Time
	Text, HTML                   string
}

// Read reads what a mailer brought away.
func Read(t testing.TB, raw []byte) Letter {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("what came is no mail: %v\n%s", err, raw)
	}
	l := Letter{MessageID: m.Header.Get("Message-ID"), From: decode(t, m.Header.Get("From")), To: decode(t, m.Header.Get("To")), Subject: decode(t, m.Header.Get("Subject"))}
	if l.Date, err = m.Header.Date(); err != nil {
		t.Error(err)
	}
	kind, of, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("it is %q: %v", kind, err)
	}
	for parts := multipart.NewReader(m.Body, of["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			l.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
		} else {
			l.HTML = string(body)
		}
	}
}

func decode(t testing.TB, header string) string {
	text, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		t.Error(err)
	}
	return text
}

// Envelope is a mail to somebody about an order.
func Envelope(number int, kind notice.Kind, to app.Contact) app.Envelope {
	last := true
	return app.Envelope{
		Mail: notice.Mail{ID: fmt.Sprintf("mail_%d", number), Kind: kind, Order: fmt.Sprintf("ord_%d", number)},
		Facts: notice.Facts{
			Total: &notice.Sum{Currency: "GBP", Amount: "12.34"}, Amount: &notice.Sum{Currency: "GBP", Amount: "2.00"},
			Lines: 1, Pieces: 3, Carrier: "Royal Mail", Tracking: "RM<1>", Last: &last,
		},
		To: to, At: Noon,
	}
}

// Run proves a mailer: writer is told who the shop is, and arrived gives what was brought away, as it came.
func Run(t *testing.T, mailer app.Mailer, arrived func(id string) []byte) {
	ann := app.Contact{Name: "Änn <b>O'Neil</b>\r\nBcc: eve@example.com", Email: "ann@example.com"}
	sent := []app.Envelope{
		Envelope(1, notice.OrderConfirmed, ann), Envelope(2, notice.OrderDispatched, ann), Envelope(3, notice.OrderRefunded, ann),
		Envelope(4, notice.OrderConfirmed, app.Contact{Email: "no address"}), Envelope(5, "a kind without a text", ann),
		Envelope(6, notice.OrderRefunded, app.Contact{Email: "bob@example.com"}),
	}
	outcomes := mailer.Send(context.Background(), sent)
	if len(outcomes) != len(sent) {
		t.Fatalf("%d outcomes of %d mails", len(outcomes), len(sent))
	}
	for i, o := range outcomes {
		number := i + 1
		if unwritable := number == 4 || number == 5; o.Sent == unwritable || o.Final != unwritable || o.Why == "" == unwritable {
			t.Errorf("mail %d ends as %+v", number, o)
		}
		if strings.Contains(o.Why, "no address") || strings.Contains(o.Why, "example.com") {
			t.Errorf("the outcome tells the address: %s", o.Why)
		}
	}
	t.Run("a confirmed order is written about", func(t *testing.T) { confirmed(t, Read(t, arrived("mail_1"))) })
	t.Run("a parcel is written about", func(t *testing.T) {
		l := Read(t, arrived("mail_2"))
		if l.Subject != "Your order ord_2 is on its way" || !strings.Contains(l.Text, "travels with Royal Mail, under the number RM<1>.") ||
			!strings.Contains(l.HTML, "RM&lt;1&gt;") {
			t.Errorf("it reads %+v", l)
		}
	})
	t.Run("a refund is written about", func(t *testing.T) {
		if l := Read(t, arrived("mail_3")); !strings.Contains(l.Text, "we have given back 2.00 GBP for your order ord_3") {
			t.Errorf("it reads %+v", l)
		}
	})
	t.Run("who has no name is greeted without one", func(t *testing.T) {
		if l := Read(t, arrived("mail_6")); !strings.HasPrefix(l.Text, "Hello,\n") || l.To != "<bob@example.com>" {
			t.Errorf("it reads %+v", l)
		}
	})
	t.Run("what was interrupted is untried", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if o := mailer.Send(ctx, sent[:1]); len(o) != 1 || !o[0].Untried || o[0].Sent {
			t.Errorf("it ends as %+v", o)
		}
	})
}

func confirmed(t *testing.T, l Letter) {
	want := Letter{
		MessageID: "<mail_1@shop.example>", From: `"The Souk" <hello@shop.example>`,
		To: `Änn <b>O'Neil</b> Bcc: eve@example.com <ann@example.com>`, Subject: "Your order ord_1 is confirmed", Date: Noon,
		Text: "Hello Änn <b>O'Neil</b> Bcc: eve@example.com,\n\nthank you for your order ord_1. It is confirmed: 1 line, 3 pieces, 12.34 GBP in all.\n\n" +
			"We will write again when it leaves.\n\nThe Souk\n",
		HTML: l.HTML,
	}
	l.Date = l.Date.UTC()
	if l != want {
		t.Errorf("it reads %+v\nwant     %+v", l, want)
	}
	if !strings.Contains(l.HTML, "<p>Hello Änn &lt;b&gt;O&#39;Neil&lt;/b&gt; Bcc: eve@example.com,</p>") || !strings.Contains(l.HTML, "<p>The Souk</p>") {
		t.Errorf("its page is %s", l.HTML)
	}
}
