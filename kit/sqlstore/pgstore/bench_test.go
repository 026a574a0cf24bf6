package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// callers runs b.N inserts of rows with new ids, so many at once.
func callers(b *testing.B, n int, insert func(id int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for id := next.Add(1); id <= int64(b.N); id = next.Add(1) {
				if err := insert(id); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkUpdate is one durable insert an op, and beside it a bare pgx program that does the same: a connection a
// caller, BEGIN, INSERT, COMMIT, on the same server in the same run.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("pgstore, %d callers", n), func(b *testing.B) {
			store := mustOpen(b, enginetest.Database(b), entries)
			defer store.Close()
			callers(b, n, func(id int64) error { return store.Update(b.Context(), insert(id)) })
		})
		b.Run(fmt.Sprintf("two pgstores, %d callers each", n), func(b *testing.B) {
			url := enginetest.Database(b)
			stores := []*sqlstore.Store{mustOpen(b, url, entries), mustOpen(b, url, entries)}
			callers(b, 2*n, func(id int64) error { return stores[id%2].Update(b.Context(), insert(id)) })
			for _, store := range stores {
				_ = store.Close()
			}
		})
		for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.Serializable} {
			b.Run(fmt.Sprintf("bare pgx, %s, %d callers", level, n), func(b *testing.B) { bare(b, n, level) })
		}
	}
}

func bare(b *testing.B, n int, level pgx.TxIsoLevel) {
	url := enginetest.Database(b)
	idle := make(chan *pgx.Conn, n)
	for range n {
		c, err := pgx.Connect(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(context.Background())
		idle <- c
	}
	psql(b, url, "CREATE TABLE entries (id bigint PRIMARY KEY, body text NOT NULL)")
	callers(b, n, func(id int64) error {
		c := <-idle
		defer func() { idle <- c }()
		for {
			err := pgx.BeginTxFunc(b.Context(), c, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
				_, err := tx.Exec(b.Context(), "INSERT INTO entries (id, body) VALUES ($1, $2)", id, "what an entry says")
				return err
			})
			var conflict *pgconn.PgError
			if !errors.As(err, &conflict) || conflict.Code != "40001" {
				return err
			}
		}
	})
}

// BenchmarkView is one row by its key.
func BenchmarkView(b *testing.B) {
	store := mustOpen(b, enginetest.Database(b), entries)
	defer store.Close()
	for b.Loop() {
		err := store.View(b.Context(), func(tx sqlstore.Tx) error {
			var n int64
			return tx.QueryRow("SELECT count(*) FROM entries WHERE id = ?", 1).Scan(&n)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
