package storeredis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Bounds of the connection.
const (
	dialMax     = time.Second             // to connect, and to be let in
	commandMax  = time.Second             // one command, with all that is tried again
	silenceMax  = 1500 * time.Millisecond // a connection that says nothing for so long while it owes an answer is given up
	inFlightMax = 256                     // commands at once; more wait for their turn
	bufferSize  = 64 << 10                // bytes of each connection's buffers
	refreshAll  = time.Second             // how often a cluster or Sentinel is asked who serves
	retryAfter  = 2 * time.Second         // when a caller should try again
)

// client sends commands, each within its bounds.
type client struct {
	name    string // of the server, without its password
	redis   rueidis.Client
	clock   clock.Clock
	gate    chan struct{}
	metrics *metrics
}

func connect(ctx context.Context, url string, o Options) (*client, error) {
	option, name, err := parse(url)
	if err != nil {
		return nil, err
	}
	redis, err := dial(ctx, option)
	if err != nil {
		return nil, fmt.Errorf("open carts at %s: %w", name, explained(err))
	}
	c := &client{name: name, redis: redis, clock: o.Clock, gate: make(chan struct{}, inFlightMax)}
	if c.metrics, err = newMetrics(o.Registerer, c.gate); err != nil {
		redis.Close()
		return nil, err
	}
	return c, nil
}

// dial is bounded by ctx; rueidis itself bounds each address by dialMax.
func dial(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	type dialled struct {
		client rueidis.Client
		err    error
	}
	done := make(chan dialled, 1)
	go func() {
		c, err := rueidis.NewClient(option)
		done <- dialled{c, err}
	}()
	select {
	case d := <-done:
		return d.client, d.err
	case <-ctx.Done():
		go func() {
			if d := <-done; d.err == nil {
				d.client.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// command sends what it sends, and gives the answer.
type command func(context.Context) rueidis.RedisResult

// write is do for what changes carts: a crash before or after it is a crash worth trying.
func (c *client) write(ctx context.Context, op string, run command) (rueidis.RedisMessage, error) {
	crashpoint.Hit("carts redis " + op + " before")
	answer, err := c.do(ctx, op, run)
	crashpoint.Hit("carts redis " + op + " after")
	return answer, err
}

// do runs one command within its bound, as a span of its trace. It may not be called in a
// transaction: no transaction waits for the network.
func (c *client) do(ctx context.Context, op string, run command) (answer rueidis.RedisMessage, err error) {
	if sqlstore.InTx(ctx) {
		panic("storeredis: a command inside a transaction: ask before or after it")
	}
	if !trace.SpanFromContext(ctx).IsRecording() {
		return c.send(ctx, op, run)
	}
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer("souk")
	ctx, span := tracer.Start(ctx, "carts redis", trace.WithAttributes(attribute.String("db.operation", op)))
	defer span.End()
	if answer, err = c.send(ctx, op, run); err != nil {
		span.SetStatus(codes.Error, "unanswered")
	}
	return answer, err
}

// send waits for its turn, sends and measures.
func (c *client) send(ctx context.Context, op string, run command) (rueidis.RedisMessage, error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, commandMax)
	defer cancel()
	select {
	case c.gate <- struct{}{}:
	case <-ctx.Done():
		return rueidis.RedisMessage{}, c.failed(caller, op, errFull)
	}
	began := c.clock.Now()
	answer, err := run(ctx).ToMessage()
	<-c.gate
	c.metrics.seconds.WithLabelValues(op).Observe(c.clock.Now().Sub(began).Seconds())
	if err != nil && !rueidis.IsRedisNil(err) {
		return answer, c.failed(caller, op, err)
	}
	return answer, nil
}

var (
	errFull = errors.New("too many commands wait for the server")
	errLate = errors.New("the change took too long") // ends the context of a change: it is not the caller who has left
)

// failed says what it means for the caller that a command has failed.
func (c *client) failed(caller context.Context, op string, err error) error {
	if gone := caller.Err(); gone != nil && context.Cause(caller) != errLate {
		return fmt.Errorf("%s at %s: %w", op, c.name, gone)
	}
	reason := reasonOf(err)
	c.metrics.failures.WithLabelValues(reason).Inc()
	if reason == refused {
		return fmt.Errorf("%s at %s: %w", op, c.name, err)
	}
	return problem.New(problem.Unavailable, "storage_unavailable", "Carts cannot be read or changed just now. Please try again in a moment.").
		After(retryAfter).Because(fmt.Errorf("%s at %s: %w", op, c.name, explained(err)))
}

// The reasons of failures.
const (
	timeout    = "timeout"    // no answer within the bound: it may or may not have been done
	connection = "connection" // no connection
	server     = "server"     // the server cannot do anything just now
	refused    = "refused"    // the server refuses this command: a fault of ours
	full       = "full"       // too many commands were waiting
)

// cannot begins what a server says that can do nothing of the kind just now, with the remedy.
var cannot = []struct{ begins, remedy string }{
	{"NOAUTH", "it wants a password and the URL has none"},
	{"WRONGPASS", "it does not accept the user and password of the URL"},
	{"NOPERM", "its user may not do this; docs/carts.md lists what it must be allowed"},
	{"LOADING", "it is still reading its files; try again when it has"},
	{"READONLY", "it is a replica; name the primary, or the Sentinels and master_set"},
	{"MISCONF", "it cannot write its files; look at its disk"},
	{"OOM", "its memory is full; raise maxmemory"},
	{"CLUSTERDOWN", "its cluster is down"},
	{"MASTERDOWN", "its primary is down"},
	{"TRYAGAIN", "its cluster is moving the keys"},
	{"BUSY", "a script of somebody else keeps it busy"},
	{"NOREPLICAS", "too few replicas follow it (min-replicas-to-write)"},
	{"unknown command", "it is too old: Redis 6 or later is needed"},
	{"DB index", "it has no database of that number"},
	{"SELECT is not allowed", "it has no database of that number: a Cluster has only 0"},
}

// said finds what a server's refusal means; remedy is "" for one that is no fault of its state.
func said(err error) (text, remedy string) {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return "", ""
	}
	text = strings.TrimPrefix(answer.Error(), "ERR ")
	for _, c := range cannot {
		if strings.HasPrefix(text, c.begins) {
			return text, c.remedy
		}
	}
	return text, ""
}

// explained adds what to do about it.
func explained(err error) error {
	_, remedy := said(err)
	switch {
	case remedy != "":
		return fmt.Errorf("%w: %s", err, remedy)
	case reasonOf(err) == timeout:
		return fmt.Errorf("no answer in time: %w", err)
	}
	return err
}

func reasonOf(err error) string {
	text, remedy := said(err)
	switch {
	case errors.Is(err, errFull):
		return full
	case text != "" && remedy == "":
		return refused
	case text != "":
		return server
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return timeout
	}
	return connection
}
