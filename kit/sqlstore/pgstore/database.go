package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Bounds of connections. Those of statements are the server's own settings, and the url may say otherwise.
const (
	connectTimeout = 5 * time.Second       // to connect once
	lockTimeout    = 5 * time.Second       // for other processes to end their transaction
	writeTimeout   = 10 * time.Second      // one statement of an update
	readTimeout    = 60 * time.Second      // one statement of a view
	answerTimeout  = 5 * time.Second       // for the answer beyond that, before the server is given up
	redialMin      = 50 * time.Millisecond // after a connection was refused, the next is not tried before
	redialMax      = 1600 * time.Millisecond
	cancelTimeout  = 2 * time.Second // for a view whose caller has left to end on the server
	schemaBytesMax = 58              // the channel of its notifications must fit PostgreSQL's 63
	serverOldest   = 13
	stmtsMax       = 256 // prepared statements kept by a connection
)

// database is one room's schema and how to reach it.
type database struct {
	schema string
	me     string // names this store among the processes that write here
	log    *slog.Logger
	config *pgconn.Config
	secret []string // what no error may tell
	others company

	statistics *statistics // of an open store

	connections prometheus.Gauge
	refused     prometheus.Counter

	mu      sync.Mutex // guards what follows: when to try again a server that does not answer
	retryAt time.Time
	pause   time.Duration
	failure error
}

func newDatabase(address string, o sqlstore.Options) (*database, error) {
	d := &database{
		schema: o.Name, me: rand.Text(), log: o.Log,
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "souk_sqlstore_connections", Help: "Open connections to the database server.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "souk_sqlstore_connects_failed_total", Help: "Connections to the database server that failed.",
		}),
	}
	d.others.unknown()
	if err := d.configure(address); err != nil {
		return nil, err
	}
	if len(d.schema) > schemaBytesMax {
		return nil, fmt.Errorf("the schema's name %q is longer than %d bytes", d.schema, schemaBytesMax)
	}
	return d, nil
}

// configure reads the url. What is wrong with one is said without its password.
func (d *database) configure(address string) error {
	const want = "want postgres://user:password@host:5432/database"
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("the database's URL is not one: " + want)
	}
	if password, ok := u.User.Password(); ok && password != "" {
		d.secret = []string{password, url.QueryEscape(password), url.PathEscape(password), strings.TrimPrefix(u.User.String(), u.User.Username()+":")}
	}
	if d.config, err = pgconn.ParseConfig(address); err != nil {
		return d.discreet(fmt.Errorf("the database's URL cannot be used: %w; %s", err, want))
	}
	c := d.config
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if other := c.RuntimeParams["search_path"]; other != "" {
		d.schema = other
	}
	c.RuntimeParams["search_path"] = quoted(d.schema)
	c.RuntimeParams["client_encoding"] = "UTF8"
	d.setting("application_name", "souk/"+d.schema)
	c.BuildContextWatcherHandler = func(raw *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: raw, DeadlineDelay: cancelTimeout}
	}
	return nil
}

// setting is for this session unless the url has it.
func (d *database) setting(name, value string) {
	if d.config.RuntimeParams[name] == "" {
		d.config.RuntimeParams[name] = value
	}
}

// String says where it is, and no password.
func (d *database) String() string {
	return fmt.Sprintf("postgresql at %s (database %s, user %s)",
		net.JoinHostPort(d.config.Host, strconv.Itoa(int(d.config.Port))), d.config.Database, d.config.User)
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// role is what a connection is for, with its bounds.
type role struct {
	name      string
	statement time.Duration // 0: unbounded
	idle      time.Duration // within a transaction, before the server ends it: a process that hangs must not keep the lock
	lock      time.Duration
}

var (
	writes   = role{"writer", writeTimeout, writeTimeout, lockTimeout}
	reads    = role{"reader", readTimeout, readTimeout, lockTimeout}
	migrates = role{"migrator", 0, 0, 0}                     // as long as its context
	copies   = role{"copier", 0, 6 * time.Hour, lockTimeout} // reads a snapshot for as long as it takes, and waits for its turn
	listens  = role{"listener", 0, 0, lockTimeout}
)

// dial connects once, and at once refuses while a server that did not answer is left in peace.
func (d *database) dial(ctx context.Context, as role, hear pgconn.NotificationHandler) (*pgconn.PgConn, error) {
	if err := d.resting(); err != nil {
		return nil, err
	}
	raw, err := pgconn.ConnectConfig(ctx, d.configFor(as, hear))
	if err == nil {
		d.connections.Inc()
	}
	if ctx.Err() == nil {
		d.note(err)
	}
	if err != nil {
		return nil, d.explain(err)
	}
	return raw, nil
}

func (d *database) configFor(as role, hear pgconn.NotificationHandler) *pgconn.Config {
	c := d.config.Copy()
	if c.OnNotification = hear; hear != nil {
		c.BuildContextWatcherHandler = func(raw *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.DeadlineContextWatcherHandler{Conn: raw.Conn()} // it waits for news, of which nothing is to be canceled
		}
	}
	bound := func(name string, value time.Duration) {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = strconv.FormatInt(value.Milliseconds(), 10)
		}
	}
	bound("statement_timeout", as.statement)
	bound("lock_timeout", as.lock)
	bound("idle_in_transaction_session_timeout", as.idle)
	if as == reads {
		c.RuntimeParams["default_transaction_read_only"] = "on" // for what is read outside of a transaction
	}
	if patience := as.patience(c.RuntimeParams["statement_timeout"]); patience > 0 {
		c.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, raw net.Conn) (net.Conn, error) {
			return &patientConn{Conn: raw, patience: patience}, nil
		}
	}
	return c
}

// patience is how long an answer may take. A bound from the url that is no number of milliseconds leaves it open.
func (r role) patience(statementTimeout string) time.Duration {
	ms, err := strconv.Atoi(statementTimeout)
	if err != nil || ms == 0 {
		return 0
	}
	return time.Duration(ms)*time.Millisecond + answerTimeout
}

// resting is the last failure until it is time to try again.
func (d *database) resting() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil && time.Now().Before(d.retryAt) {
		return d.failure
	}
	return nil
}

func (d *database) note(err error) {
	if err != nil {
		d.refused.Inc()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.failure, d.pause = nil, 0
		return
	}
	d.failure = d.explain(err)
	d.pause = min(max(2*d.pause, redialMin), redialMax)
	d.retryAt = time.Now().Add(d.pause)
}

// patientConn ends a wait for a server that has stopped answering, unless somebody has set a time of his own.
type patientConn struct {
	net.Conn
	patience time.Duration
	mu       sync.Mutex
	bounded  bool
}

func (c *patientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounded = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

func (c *patientConn) Read(p []byte) (int, error) {
	if err := c.wait(c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *patientConn) Write(p []byte) (int, error) {
	if err := c.wait(c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *patientConn) wait(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bounded {
		return nil
	}
	return set(time.Now().Add(c.patience))
}

// openReader connects when the first statement comes.
func (d *database) openReader(context.Context) (sqlstore.Conn, error) {
	return newSession(d, reads, context.Background()), nil
}

// openLong connects for a snapshot.
func (d *database) openLong(context.Context) (sqlstore.Conn, error) {
	return newSession(d, copies, context.Background()), nil
}
