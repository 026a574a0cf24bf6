package mail_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/mail"
	"github.com/seed-21071466/souk/services/notifications/mail/mailtest"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bob = app.Contact{Name: "Bob", Email: "bob@example.com"}

func writer(t testing.TB) *mail.Writer {
	t.Helper()
	w, err := mail.NewWriter("hello@shop.example", "The Souk")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// secure is a certificate of this host, and who trusts it.
func secure(t testing.TB) (server, trust *tls.Config) {
	host := httptest.NewTLSServer(nil)
	defer host.Close()
	pool := x509.NewCertPool()
	pool.AddCert(host.Certificate())
	return &tls.Config{Certificates: host.TLS.Certificates}, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func smtp(t testing.TB, address string, trust *tls.Config) *mail.SMTP {
	t.Helper()
	s, err := mail.NewSMTP(address, writer(t), trust)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	files := mail.NewFiles(dir, writer(t))
	mailtest.Run(t, files, func(id string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, id+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	})
	folder, err := os.Stat(dir)
	file, err2 := os.Stat(filepath.Join(dir, "mail_1.eml"))
	if err != nil || err2 != nil || folder.Mode().Perm() != 0o700 || file.Mode().Perm() != 0o600 {
		t.Errorf("others may read mails: %v %v, %v %v", folder, err, file, err2)
	}
	if err := os.WriteFile(filepath.Join(dir, "mail_2.eml.new"), nil, 0o600); err != nil { // a killed process left it
		t.Fatal(err)
	}
	if err := files.Forget([]string{"mail_1", "mail_2", "mail_3", "mail_6", "mail_unknown"}); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestSMTP(t *testing.T) {
	certificate, trust := secure(t)
	for name, row := range map[string]struct {
		server mailtest.Options
		scheme string
	}{
		"without TLS":                      {mailtest.Options{}, "smtp://"},
		"with STARTTLS and a password":     {mailtest.Options{TLS: certificate, Password: "secret"}, "smtp://shop:secret@"},
		"with TLS at first and a password": {mailtest.Options{TLS: certificate, TLSFirst: true, Password: "secret"}, "smtps://shop:secret@"},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.Serve(t, row.server)
			mailtest.Run(t, smtp(t, row.scheme+server.Addr, trust), func(id string) []byte {
				for _, taken := range server.Taken() {
					if strings.Contains(string(taken.Data), "<"+id+"@shop.example>") {
						if taken.From != "hello@shop.example" || taken.TLS != (row.server.TLS != nil) || taken.Session != 1 {
							t.Errorf("it came as %+v", taken)
						}
						return taken.Data
					}
				}
				t.Fatalf("%s did not arrive", id)
				return nil
			})
			if server.Sessions() != 1 {
				t.Errorf("%d connections for one batch", server.Sessions())
			}
		})
	}
}

// send sends two mails, the first to Bob.
func send(t *testing.T, s *mail.SMTP) []notice.Outcome {
	t.Helper()
	return s.Send(context.Background(), []app.Envelope{
		mailtest.Envelope(1, notice.OrderRefunded, bob),
		mailtest.Envelope(2, notice.OrderRefunded, app.Contact{Email: "ann@example.com"}),
	})
}

func TestARefusedMailHoldsUpNoOther(t *testing.T) {
	for name, row := range map[string]struct {
		reply string
		want  notice.Outcome
	}{
		"for good":   {"550 5.1.1 <bob@example.com> is nobody here", notice.Outcome{Final: true, Why: "the mail server does not take it: 550 5.1.1"}},
		"for a time": {"451 4.7.1 bob@example.com, try later", notice.Outcome{Why: "the mail server does not take it: 451 4.7.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.Serve(t, mailtest.Options{Refuse: func(verb, argument string) string {
				if verb == "RCPT" && strings.Contains(argument, "bob") {
					return row.reply
				}
				return ""
			}})
			got := send(t, smtp(t, "smtp://"+server.Addr, nil))
			if got[0] != row.want || !got[1].Sent || len(server.Taken()) != 1 {
				t.Errorf("they end as %+v; taken were %d", got, len(server.Taken()))
			}
		})
	}
}

func TestAServerThatDoesNotWantUsIsTriedAgain(t *testing.T) {
	certificate, trust := secure(t)
	quiet, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = quiet.Close() // nobody listens there any more
	open := mailtest.Serve(t, mailtest.Options{TLS: certificate, Password: "secret"})
	hangs := mailtest.Serve(t, mailtest.Options{Hang: func(verb string, _ int) bool { return verb == "DATA" }})
	sender := mailtest.Serve(t, mailtest.Options{Refuse: func(verb, _ string) string {
		return map[string]string{"MAIL": "550 5.7.1 hello@shop.example may not send"}[verb]
	}})
	for name, row := range map[string]struct {
		address, why string
		trust        *tls.Config
	}{
		"nobody listens":        {"smtp://" + quiet.Addr().String(), "the mail server cannot be reached", nil},
		"the password is bad":   {"smtp://shop:wrong@" + open.Addr, "the mail server does not let us in: it answers 535", trust},
		"it is not trusted":     {"smtp://shop:secret@" + open.Addr, "the mail server does not let us in: tls:", nil},
		"it hangs up":           {"smtp://" + hangs.Addr, "broke off", nil},
		"it refuses the sender": {"smtp://" + sender.Addr, "does not take it: 550 5.7.1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range send(t, smtp(t, row.address, row.trust)) {
				if o.Sent || o.Final || o.Untried || !strings.Contains(o.Why, row.why) || strings.Contains(o.Why, "hello@") || strings.Contains(o.Why, "secret") {
					t.Errorf("it ends as %+v", o)
				}
			}
		})
	}
}

func TestAPasswordIsNotSentInTheClear(t *testing.T) {
	var said strings.Builder
	server := mailtest.Serve(t, mailtest.Options{Refuse: func(verb, _ string) string { said.WriteString(verb + " "); return "" }})
	_, port, _ := net.SplitHostPort(server.Addr)
	s := smtp(t, "smtp://shop:secret@localhost:"+port, nil) // the host offers no TLS
	if o := send(t, s); o[0].Sent || strings.Contains(said.String(), "AUTH") {
		t.Errorf("the server heard %s, it ends as %+v", said.String(), o)
	}
}

func TestWhatCannotBeAMailServerIsRefusedWithoutItsPassword(t *testing.T) {
	for _, address := range []string{"shop:secret@host", "http://shop:secret@host", "smtp://", "smtp://shop:secret@host:x", "smtp://host/secret", "smtp://shop:secret@host:99999"} {
		if _, err := mail.NewSMTP(address, writer(t), nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s is refused with %v", address, err)
		}
	}
	nobody, err := mail.NewWriter("", "The Souk")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mail.NewSMTP("smtp://host", nobody, nil); err == nil {
		t.Error("nobody may send by SMTP")
	}
	if _, err := mail.NewWriter("no address", "The Souk"); err == nil {
		t.Error("who has no address may send")
	}
}

func BenchmarkFileMail(b *testing.B) {
	files := mail.NewFiles(b.TempDir(), writer(b))
	b.ReportAllocs()
	for i := range b.N {
		if o := files.Send(context.Background(), []app.Envelope{mailtest.Envelope(i, notice.OrderConfirmed, bob)}); !o[0].Sent {
			b.Fatal(o)
		}
	}
}

func ExampleNewSMTP() {
	w, err := mail.NewWriter("hello@shop.example", "The Souk")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = mail.NewSMTP("http://shop:secret@mail.example.com", w, nil)
	fmt.Println(err)
	// Output: smtp_url is not smtp://user:password@host:587 or smtps://user:password@host:465
}
