package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

func insert(id int) func(sqlstore.Tx) error {
	return func(tx sqlstore.Tx) error {
		_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, "body")
		return err
	}
}

func TestMetricsCountByStoreAndOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	for _, name := range []string{"orders", "carts"} {
		store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "m.db"),
			sqlstore.Options{Name: name, Schemas: []sqlstore.Schema{benchSchema}, Registerer: registry})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		_ = store.Update(t.Context(), insert(1))
		_ = store.Update(t.Context(), func(sqlstore.Tx) error { return errors.New("no") })
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got[family.GetName()+labels(m)] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for metric, want := range map[string]float64{
		"souk_sqlstore_updates_total outcome=kept store=orders":   1,
		"souk_sqlstore_updates_total outcome=refused store=carts": 1,
		"souk_sqlstore_commit_seconds store=orders":               1,
		"souk_sqlstore_group_size store=carts":                    2,
		"souk_sqlstore_queue_seconds store=carts":                 2,
	} {
		if got[metric] != want {
			t.Errorf("%s is %v, not %v; all: %v", metric, got[metric], want, got)
		}
	}
}

func labels(m *dto.Metric) (s string) {
	for _, l := range m.GetLabel() {
		s += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
	}
	return s
}

func TestSpansOnlyWithinARecordedOne(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	store := mustOpen(t, filepath.Join(t.TempDir(), "s.db"), benchSchema)
	defer store.Close()
	if err := store.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	if err := store.Update(ctx, insert(2)); err != nil {
		t.Fatal(err)
	}
	span.End()
	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Name() != "test db" || ended[0].Parent().SpanID() != span.SpanContext().SpanID() {
		t.Errorf("spans: %v", ended)
	}
}

// TestLogStaysBounded writes some 200 MB, thirty times the length at which the log starts again.
func TestLogStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wal.db")
	store := mustOpen(t, path, benchSchema)
	defer store.Close()
	body := string(make([]byte, 32<<10))
	var longest int64
	for i := range 3000 {
		err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
			_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body", i%500, body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path + "-wal"); err == nil {
			longest = max(longest, info.Size())
		}
	}
	if longest > 100<<20 {
		t.Errorf("the log grew to %d MB", longest>>20)
	}
	t.Logf("the log grew to %d MB", longest>>20)
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private.db")
	store := mustOpen(t, path, benchSchema)
	defer store.Close()
	for _, file := range []string{path, path + "-wal"} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

func TestLongViewEndsWithItsCaller(t *testing.T) {
	store := mustOpen(t, filepath.Join(t.TempDir(), "long.db"))
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := store.View(ctx, func(tx sqlstore.Tx) error {
		rows, err := tx.Query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		return rows.Err()
	})
	if !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
		t.Errorf("got %v", err)
	}
}
