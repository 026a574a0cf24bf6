package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// member is one process of a shop, of which there are two here.
func member(name string, perSecond int) (*telemetry.Telemetry, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return telemetry.New(telemetry.Options{Out: log, Process: name, Sampling: telemetry.Sampling{PerSecond: perSecond}}), log
}

// say appends an event within a span of the talker's process, and gives the trace.
func say(t *testing.T, talker *telemetry.Telemetry, store *sqlstore.Store, log *eventlog.Log) trace.TraceID {
	t.Helper()
	ctx, span := talker.TracerProvider.Tracer("souk").Start(t.Context(), "talk")
	defer span.End()
	if err := store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) error {
		_, err := log.Append(tx, "a", eventlog.Any, eventlog.Event{
			Type: bustest.Type, Schema: 1, Meta: eventlog.Meta{Time: time.Now().UTC(), Trace: eventlog.TraceOf(tx.Context())},
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return span.SpanContext().TraceID()
}

// heard runs a consumer in a process of its own until it has handled one event, which fails the first time.
func heard(t *testing.T, listens *telemetry.Telemetry, store *sqlstore.Store, log *eventlog.Log) {
	t.Helper()
	b := bus.New(bus.Options{Log: listens.Log, TracerProvider: listens.TracerProvider})
	b.Publish(bus.FeedOf("talker", log, nil))
	failed := false
	if err := b.Subscribe(listener(store, func(sqlstore.Tx, bus.Event) error {
		if !failed {
			failed = true
			return errors.New("not yet")
		}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	wait(t, b, "listener", log.Head())
}

func TestWhatAnEventCausedInAnotherProcessBelongsToItsTrace(t *testing.T) {
	talker, _ := member("talker", 100)
	listens, said := member("listener", -1) // it begins no trace of its own
	store := openStore(t)
	log, err := eventlog.New(store)
	if err != nil {
		t.Fatal(err)
	}
	id := say(t, talker, store, log).String()
	heard(t, listens, store, log)
	cause, _ := talker.Part(id)
	effect, ok := listens.Part(id)
	if !ok {
		t.Fatal("the listener's process keeps nothing of the trace")
	}
	tree := telemetry.Merge(cause, effect)
	if len(tree.Roots) != 1 || len(tree.Roots[0].Children) != 1 {
		t.Fatalf("the tree is\n%s\nwant one root, its transaction, and under that what heard it", tree)
	}
	tries := tree.Roots[0].Children[0].Children
	if len(tries) != 2 || tries[0].Name != "Said → Listener" || tries[0].Error == "" || tries[1].Error != "" || tries[1].Process != "listener" {
		t.Errorf("the tree is\n%s\nwant two tries of the listener, the first failed", tree)
	}
	if n := strings.Count(said.String(), `"trace_id":"`+id+`"`); n != 1 {
		t.Errorf("the listener's log names the trace %d times, want once:\n%s", n, said)
	}
}

func TestAnEventOfATraceThatIsNotRecordedIsStillNamedInTheLog(t *testing.T) {
	talker, _ := member("talker", -1)
	listens, said := member("listener", 100)
	store := openStore(t)
	log, err := eventlog.New(store)
	if err != nil {
		t.Fatal(err)
	}
	id := say(t, talker, store, log).String()
	heard(t, listens, store, log)
	if _, ok := listens.Part(id); ok {
		t.Error("it is recorded by the listener, although its cause is not")
	}
	if !strings.Contains(said.String(), `"trace_id":"`+id+`"`) {
		t.Errorf("the listener's log does not name the trace:\n%s", said)
	}
}
