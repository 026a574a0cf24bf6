package natsbus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-21071466/souk/kit/clock"
)

// The bounds of waiting for the broker.
const (
	connectMax = 2 * time.Second        // for one server to take a connection
	answerMax  = 5 * time.Second        // for one answer
	messageMax = 2 * time.Second        // for the first message of an answer, and for each further one
	ackMax     = 5 * time.Second        // for a publication to be acknowledged
	hangUpsMax = 5                      // connections at the start that end without a word
	retryMin   = 100 * time.Millisecond // before something that failed is tried again; doubled for each further time
	retryMax   = 2 * time.Second        // the longest pause between two tries
	pingEvery  = 5 * time.Second        // a broker that answers two pings not is away
)

// Security is how a process proves to the broker who it is, beside a user and
// password in the URL, and how it knows the broker. All are names of files,
// which are read again at every connection.
type Security struct {
	Credentials string // a NATS .creds file
	CA          string // PEM: who signs the broker's certificate; "": the system's authorities
	Certificate string // PEM: this process's certificate, for mutual TLS
	Key         string // PEM: its key
}

// expected is what an address of a broker looks like.
const expected = `expected nats://host:4222 or tls://user:password@host:4222, several with commas between them; in a password write / @ : and % as %2F %40 %3A %25`

// readable checks the addresses and gives them without passwords. Errors say
// nothing of what may be a password.
func readable(addresses string) (string, error) {
	var shown []string
	for i, address := range strings.Split(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil {
			return "", fmt.Errorf("address %d of the broker cannot be read; %s", i+1, expected)
		}
		if why := unfit(u); why != "" {
			return "", fmt.Errorf("address %d of the broker, %q, %s; %s", i+1, u.Redacted(), why, expected)
		}
		shown = append(shown, u.Scheme+"://"+u.Host)
	}
	return strings.Join(shown, ","), nil
}

// unfit says why a URL is no address of a broker.
func unfit(u *url.URL) string {
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		return fmt.Sprintf("has the scheme %q", u.Scheme)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "has a port that is none"
		}
	}
	switch {
	case u.Hostname() == "":
		return "has no host"
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return "has more than a host and a port"
	}
	return ""
}

// check refuses files that are not there or go only in pairs.
func (s Security) check() error {
	if (s.Certificate == "") != (s.Key == "") {
		return errors.New("a certificate and its key go together: give both files or neither")
	}
	for what, name := range map[string]string{
		"credentials": s.Credentials, "certificates of authorities": s.CA, "certificate": s.Certificate, "key": s.Key,
	} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("the file of the %s: %w", what, err)
		}
	}
	return nil
}

func (s Security) options() (opts []nats.Option) {
	if s.Credentials != "" {
		opts = append(opts, nats.UserCredentials(s.Credentials))
	}
	if s.CA != "" {
		opts = append(opts, nats.RootCAs(s.CA))
	}
	if s.Certificate != "" {
		opts = append(opts, nats.ClientCert(s.Certificate, s.Key))
	}
	return opts
}

// join makes the connection, or if the broker is away the intention of one.
func (b *Broker) join(ctx context.Context, address string) error {
	if err := b.options.Security.check(); err != nil {
		return err
	}
	opts := append(b.options.Security.options(), b.habits()...)
	conn, err := dial(ctx, address, opts)
	if err != nil {
		if refusal := refused(err); refusal != nil {
			return refusal
		}
		b.fault.Store(&err)
		b.options.Log.WarnContext(ctx, "the broker is away, to be tried again", "broker", b.address, "err", err)
		if conn, err = nats.Connect(address, append(opts, nats.RetryOnFailedConnect(true))...); err != nil {
			return err
		}
	}
	b.conn = conn
	if err := b.hasStreams(ctx); err != nil {
		conn.Close()
		return err
	}
	return nil
}

// dial connects once. A broker that refuses a certificate says so and hangs up,
// and what it says may be lost by that: then it is asked again.
func dial(ctx context.Context, address string, opts []nats.Option) (conn *nats.Conn, err error) {
	for range hangUpsMax {
		if conn, err = nats.Connect(address, opts...); !hungUp(err) {
			break
		}
		if late := clock.Sleep(ctx, retryMin); late != nil {
			return nil, errors.Join(err, late)
		}
	}
	return conn, err
}

// hungUp says that whoever answered ended the connection without a word.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// habits are how the connection behaves: it comes back for ever, and meanwhile
// takes nothing that it could not deliver.
func (b *Broker) habits() []nats.Option {
	joined := func(*nats.Conn) {
		b.link.Store(newLink())
		b.joined.Set(b.joined.Position() + 1)
	}
	return []nats.Option{
		nats.Name("souk " + b.options.Shop + " " + b.options.Name),
		nats.Timeout(connectMax), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(func(tries int) time.Duration { return pause(tries) }),
		nats.NoCallbacksAfterClientClose(),
		nats.ConnectHandler(joined), nats.ReconnectHandler(joined),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.link.Load().over()
			b.troubled("the broker went away", err)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.troubled("trouble with the broker", err) }),
	}
}

// link is one connection to the broker, from its making to its loss. Answers
// that were on their way by then never come.
type link struct {
	alive context.Context
	lose  context.CancelCauseFunc
}

var errLost = errors.New("the connection to the broker was lost")

func newLink() *link {
	l := &link{}
	l.alive, l.lose = context.WithCancelCause(context.Background())
	return l
}

func (l *link) over() { l.lose(errLost) }

func (b *Broker) troubled(what string, err error) {
	if err == nil {
		return
	}
	b.fault.Store(&err)
	b.options.Log.Warn(what, "broker", b.address, "err", err)
}

// pause is the wait before a try, by how many failed before it.
func pause(failed int) time.Duration {
	return min(retryMax, retryMin<<min(max(failed, 0), 10))
}

// refused turns an error into a refusal to start, nil if waiting may help.
func refused(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		return fmt.Errorf("it refuses this identity (%w); expected a user and password in the URL, or a credentials file, that it knows", err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("it speaks no TLS, but the URL or the files ask for it (%w); expected nats:// and no certificates, or a broker with TLS", err)
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &record):
		return fmt.Errorf("its certificate is not trusted (%w); expected one for this host, signed by the authority in the CA file", err)
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls"):
		return fmt.Errorf("it refuses this process's certificate (%w); expected a certificate and key signed by an authority that it trusts", err)
	case errors.Is(err, nats.ErrNoInfoReceived):
		return fmt.Errorf("whoever answers there is no NATS server (%w); expected the client port, as a rule 4222", err)
	case errors.Is(err, nats.ErrNkeysNotSupported), errors.Is(err, os.ErrNotExist), strings.Contains(err.Error(), "nkey"):
		return fmt.Errorf("the credentials cannot be used (%w); expected a NATS .creds file with a user's token and seed", err)
	}
	return nil
}

// hasStreams refuses a broker without JetStream. One that is away will be asked
// by the relays.
func (b *Broker) hasStreams(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return nil
	}
	js, err := b.streams()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("it keeps no streams (%w); expected a server with JetStream: nats-server -js -sd <folder>", err)
	case err != nil:
		b.troubled("the broker did not say whether it keeps streams", err)
	}
	return nil
}
