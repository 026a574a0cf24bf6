package backup_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func TestX(t *testing.T) {
	store, err := sqlstore.Open(context.Background(), filepath.Join(t.TempDir(), "x.db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := &backup.Peer{Rooms: func() []backup.Room { return []backup.Room{backup.Of("x", store, nil)} }, Clock: clock.System{}, Log: slog.Default()}
	server := httptest.NewServer(p.Handler())
	defer server.Close()
	base, _ := url.Parse(server.URL)
	room := backup.Elsewhere("x", base, http.DefaultTransport)
	t0 := time.Now()
	h, err := room.Hold(t.Context(), 3*time.Second)
	t.Log(time.Since(t0), err)
	s, err := h.Begin(t.Context())
	t.Log(time.Since(t0), err)
	h.Release()
	t.Log(time.Since(t0), err)
	_ = s.Close()
}
