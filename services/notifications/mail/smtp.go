package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// The schemes of a mail server's address, and the ports that they mean.
const (
	schemePlain = "smtp"  // STARTTLS where offered, and always before a password is sent
	schemeTLS   = "smtps" // TLS from the first byte
	portPlain   = 587
	portTLS     = 465
)

// The bounds of a conversation with a mail server.
const (
	sendTimeout  = 15 * time.Second // of the greeting, then of each mail
	batchTimeout = time.Minute      // of all; what is left over is sent in the next one
)

// Why mails are not sent, in words that carry no address: what a server says often does.
const (
	whyInterrupted = "it was interrupted before its turn"
	whyUnreachable = "the mail server cannot be reached"
	whyUnwelcome   = "the mail server does not let us in"
)

// SMTP brings mails to a mail server, a batch over one connection.
type SMTP struct {
	writer  *Writer
	host    string
	options []gomail.Option
	tls     *tls.Config // nil: TLS only where STARTTLS begins it
}

// NewSMTP reads the address of a mail server: smtp://user:pass@host:587 or smtps://user:pass@host:465. Its errors do not
// show it, for there is a password in it. trust says whom to believe to be that server, the machine's authorities when nil.
func NewSMTP(address string, w *Writer, trust *tls.Config) (*SMTP, error) {
	at, err := url.Parse(address)
	if err != nil || at.Hostname() == "" || at.Scheme != schemePlain && at.Scheme != schemeTLS || at.Path != "" && at.Path != "/" {
		return nil, errors.New("smtp_url is not smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	if w.from.Address == FromDefault {
		return nil, errors.New("smtp_url needs mail_from: a mail server takes no mail from nobody")
	}
	port := map[string]int{schemePlain: portPlain, schemeTLS: portTLS}[at.Scheme]
	if at.Port() != "" {
		if port, err = strconv.Atoi(at.Port()); err != nil {
			return nil, errors.New("smtp_url has a port that is no number")
		}
	}
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	trust = trust.Clone()
	trust.ServerName = at.Hostname()
	s := &SMTP{writer: w, host: at.Hostname()}
	if at.Scheme == schemeTLS {
		s.tls = trust
	}
	s.options = append(options(at), gomail.WithPort(port), gomail.WithTLSConfig(trust))
	_, err = s.client(nil)
	return s, err
}

// options are how to speak and who to be.
func options(at *url.URL) []gomail.Option {
	all := []gomail.Option{gomail.WithTimeout(sendTimeout), gomail.WithoutNoop(), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	if at.User == nil {
		return all
	}
	password, _ := at.User.Password()
	all = append(all, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(at.User.Username()), gomail.WithPassword(password))
	if at.Scheme == schemePlain && !local(at.Hostname()) {
		all = append(all, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	return all
}

// local says that a host is this one, to which nobody listens in.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (s *SMTP) client(dial gomail.DialContextFunc) (*gomail.Client, error) {
	options := s.options
	if dial != nil {
		options = append(options[:len(options):len(options)], gomail.WithDialContextFunc(dial))
	}
	client, err := gomail.NewClient(s.host, options...)
	if err != nil {
		return nil, fmt.Errorf("make ready for the mail server: %w", err)
	}
	return client, nil
}

// Send sends a batch over one connection, which ends with ctx.
func (s *SMTP) Send(ctx context.Context, mails []app.Envelope) []notice.Outcome {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	outcomes := make([]notice.Outcome, len(mails))
	messages := make([]*gomail.Msg, len(mails))
	written := 0
	for i, e := range mails {
		m, err := s.writer.Write(e)
		if err != nil {
			outcomes[i] = notice.Outcome{Final: true, Why: err.Error()}
			continue
		}
		messages[i], written = m, written+1
	}
	if written > 0 {
		s.converse(ctx, messages, outcomes)
	}
	return outcomes
}

// converse sends the messages that there are.
func (s *SMTP) converse(ctx context.Context, messages []*gomail.Msg, outcomes []notice.Outcome) {
	client, hangUp, err := s.greet(ctx)
	defer hangUp()
	for i, m := range messages {
		switch {
		case m == nil: // its outcome is known
		case ctx.Err() != nil:
			outcomes[i] = notice.Outcome{Untried: true, Why: whyInterrupted}
		case err != nil:
			outcomes[i] = notice.Outcome{Why: unwelcome(err)}
		default:
			outcomes[i] = outcomeOf(client.Send(m), m)
		}
	}
}

// greet begins a conversation and says how to end it, politely if the server still listens. The connection is cut when
// ctx ends.
func (s *SMTP) greet(ctx context.Context) (client *gomail.Client, hangUp func(), err error) {
	var line net.Conn
	cut := func() bool { return true }
	client, err = s.client(func(dialing context.Context, network, address string) (net.Conn, error) {
		var err error
		if line, err = s.dial(dialing, network, address); err != nil {
			return nil, fmt.Errorf("%s: %w", whyUnreachable, err)
		}
		cut = context.AfterFunc(ctx, func() { _ = line.Close() })
		return line, nil
	})
	if err == nil {
		err = client.DialWithContext(ctx)
	}
	return client, func() {
		if err == nil {
			_ = client.Close() // what was to be said has been said
		}
		cut()
		if line != nil {
			_ = line.Close()
		}
	}, err
}

func (s *SMTP) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.tls == nil {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return (&tls.Dialer{Config: s.tls}).DialContext(ctx, network, address)
}

// unwelcome says why there is no conversation: in our words, or in those of the network, and of the server's only the code.
func unwelcome(err error) string {
	var said *textproto.Error
	if errors.As(err, &said) {
		return whyUnwelcome + ": it answers " + strconv.Itoa(said.Code)
	}
	if !strings.Contains(err.Error(), whyUnreachable) {
		return whyUnwelcome + ": " + err.Error()
	}
	return err.Error()
}

// outcomeOf reads how one sending ended. What the server refuses for good is not tried again, unless it is the sender
// that it refuses: that is a matter of settings.
func outcomeOf(err error, m *gomail.Msg) notice.Outcome {
	if err == nil || m.IsDelivered() {
		return notice.Outcome{Sent: true}
	}
	var refusal *gomail.SendError
	if !errors.As(err, &refusal) || refusal.ErrorCode() == 0 {
		return notice.Outcome{Why: "the conversation with the mail server broke off"}
	}
	why := "the mail server does not take it: " + strings.TrimSpace(strconv.Itoa(refusal.ErrorCode())+" "+refusal.EnhancedStatusCode())
	return notice.Outcome{Final: refusal.ErrorCode() >= permanent && refusal.Reason != gomail.ErrSMTPMailFrom, Why: why}
}

// permanent is the first code of a mail server that means: never.
const permanent = 500

// Forget has nothing to do: nothing is kept.
func (s *SMTP) Forget([]string) error { return nil }
