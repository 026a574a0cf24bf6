package engine_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-21071466/souk/kit/engine"
)

// natsEnded ends a process that is a NATS server of these tests; other processes go on.
func natsEnded() (code int, ended bool) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch err := engine.ServeNATS(ctx); {
	case errors.Is(err, engine.ErrNoOrder):
		return 0, false
	case err != nil:
		return 1, true
	}
	return 0, true
}

// kept publishes to a stream and says how many messages it has.
func kept(t *testing.T, url string, publish int) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	for range publish {
		if _, err := js.Publish(ctx, "s", nil); err != nil {
			t.Fatal(err)
		}
	}
	info, err := stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

func TestANATSServerIsKilledFrozenWipedAndComesBackOnItsPort(t *testing.T) {
	ctx := t.Context()
	s, err := engine.NATS(ctx, t.TempDir(), engine.NATSOptions{SyncAlways: true, Program: []string{os.Args[0]}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	url := s.URL()
	if n := kept(t, url, 3); n != 3 {
		t.Errorf("it keeps %d messages, want 3", n)
	}
	for _, act := range []func() error{s.Pause, s.Resume, s.Kill} {
		if err := act(); err != nil {
			t.Fatal(err)
		}
	}
	if conn, err := nats.Connect(url); err == nil {
		conn.Close()
		t.Error("it answers after it was killed")
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if n := kept(t, url, 0); n != 3 {
		t.Errorf("after a kill it keeps %d messages, want 3", n)
	}
	if err := errors.Join(s.Kill(), s.Wipe(), s.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	if n := kept(t, url, 0); n != 0 {
		t.Errorf("without its data it keeps %d messages", n)
	}
}

func TestNatsdIsBuiltAndServes(t *testing.T) {
	s, err := engine.NATS(t.Context(), filepath.Join(t.TempDir(), "data"), engine.NATSOptions{User: "souk", Password: "s/e:c@ret"})
	if err != nil {
		t.Fatal(err)
	}
	if n := kept(t, s.URL(), 1); n != 1 {
		t.Errorf("it keeps %d messages, want 1", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEmbeddedServerKeepsItsDataFromOneLifeToTheNext(t *testing.T) {
	dir := t.TempDir()
	for life := range uint64(2) {
		s, err := engine.EmbedNATS(dir, engine.NATSOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n := kept(t, s.URL, 1); n != life+1 {
			t.Errorf("in life %d it keeps %d messages", life, n)
		}
		s.Close()
	}
}
