// Package mail writes mails and brings them away: by SMTP, or into a folder
// where there is no mail server.
//
// A mail is one text, in text/*.txt, sent as it is and, paragraph by
// paragraph, as HTML. Its Message-ID is made of the mail's id, so that a mail
// which is sent twice is known for the same.
package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"strings"
	texttemplate "text/template"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

//go:embed text
var texts embed.FS

// FromDefault is the sender of mails that are only written to files.
const FromDefault = "shop@localhost"

// The headers that tell mail programs not to answer by themselves: RFC 3834, and Microsoft's own.
const (
	headerAutomatic = "Auto-Submitted"
	headerSuppress  = "X-Auto-Response-Suppress"
)

// nameMax bounds a subject's name in a mail, in characters.
const nameMax = 200

// Writer makes messages of mails. It is safe for concurrency.
type Writer struct {
	from mail.Address
	shop string
	text map[notice.Kind]*texttemplate.Template
	html *htmltemplate.Template
}

// NewWriter reads the texts; from is "shop@example.com" or "The Shop <shop@example.com>", FromDefault when empty.
func NewWriter(from, shop string) (*Writer, error) {
	if from == "" {
		from = FromDefault
	}
	address, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("read mail_from %q: %w", from, err)
	}
	if address.Name == "" {
		address.Name = shop
	}
	w := &Writer{from: *address, shop: shop, text: make(map[notice.Kind]*texttemplate.Template, 3)}
	for _, kind := range []notice.Kind{notice.OrderConfirmed, notice.OrderDispatched, notice.OrderRefunded} {
		name := string(kind) + ".txt"
		w.text[kind], err = texttemplate.New(name).Funcs(texttemplate.FuncMap{"count": count}).ParseFS(texts, "text/"+name)
		if err != nil {
			return nil, fmt.Errorf("read the text of %s: %w", kind, err)
		}
	}
	w.html, err = htmltemplate.ParseFS(texts, "text/layout.html")
	return w, err
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// words are what a text may speak of.
type words struct {
	Shop, Name, Order string
	Facts             notice.Facts
	Whole             bool // of a parcel: nothing else is to follow
}

// page is what the HTML is made of.
type page struct {
	Subject    string
	Paragraphs []string
}

// Write makes the message. Its errors speak of the mail's id and kind, never of who it is for.
func (w *Writer) Write(e app.Envelope) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(e.To.Email)
	if err != nil {
		return nil, fmt.Errorf("write %s: the mail address is not one", e.Mail.ID)
	}
	name := tidy(e.To.Name)
	subject, text, html, err := w.render(e, name)
	if err != nil {
		return nil, err
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(&w.from)
	m.ToMailAddress(&mail.Address{Name: name, Address: to.Address})
	m.Subject(subject)
	m.SetMessageIDWithValue(e.Mail.ID + "@" + w.domain())
	m.SetDateWithValue(e.At)
	m.SetGenHeader(headerAutomatic, "auto-generated")
	m.SetGenHeader(headerSuppress, "All")
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	return m, nil
}

func (w *Writer) render(e app.Envelope, name string) (subject, text, html string, err error) {
	template := w.text[e.Mail.Kind]
	if template == nil {
		return "", "", "", fmt.Errorf("write %s: there is no text for %q", e.Mail.ID, e.Mail.Kind)
	}
	said := words{Shop: w.shop, Name: name, Order: e.Mail.Order, Facts: e.Facts, Whole: e.Facts.Last != nil && *e.Facts.Last}
	var title, body, whole strings.Builder
	if err := template.ExecuteTemplate(&title, "subject", said); err != nil {
		return "", "", "", fmt.Errorf("write the subject of %s: %w", e.Mail.ID, err)
	}
	if err := template.Execute(&body, said); err != nil {
		return "", "", "", fmt.Errorf("write the text of %s: %w", e.Mail.ID, err)
	}
	paragraphs := strings.Split(strings.TrimSpace(body.String()), "\n\n")
	if err := w.html.Execute(&whole, page{title.String(), paragraphs}); err != nil {
		return "", "", "", fmt.Errorf("write the page of %s: %w", e.Mail.ID, err)
	}
	return title.String(), body.String(), whole.String(), nil
}

// domain is the right side of Message-IDs: the sender's own.
func (w *Writer) domain() string {
	_, domain, _ := strings.Cut(w.from.Address, "@")
	return domain
}

// tidy is a name on one line, of bounded length.
func tidy(name string) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	short := []rune(strings.Join(strings.Fields(line), " "))
	return string(short[:min(len(short), nameMax)])
}
