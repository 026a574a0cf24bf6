package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// PostgreSQL plans by guess for a table that was never analyzed, and may keep what it guessed for an empty one: an index
// of the shop alone, say, whose every row it then reads. Autovacuum analyzes by itself, but once a minute at most, by when a
// busy new shop has thousands of rows. Until then a store has its tables analyzed as they grow.
const (
	statisticsFirst = 16      // commits of this process
	statisticsLast  = 1 << 15 // beyond which autovacuum has come by
	statisticsPages = 8       // a smaller table is read whole whatever is known of it
)

// statistics sees to it on a connection of its own, for as long as that takes.
type statistics struct {
	d       *database
	commits atomic.Int64
	due     chan struct{}
	ctx     context.Context // ends with the store
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func newStatistics(d *database) *statistics {
	s := &statistics{d: d, due: make(chan struct{}, 1)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.done.Go(s.run)
	return s
}

// committed looks for tables that have grown each time that the commits have doubled.
func (s *statistics) committed() {
	n := s.commits.Add(1)
	if n < statisticsFirst || n > statisticsLast || n&(n-1) != 0 {
		return
	}
	select {
	case s.due <- struct{}{}:
	default: // it is looking already
	}
}

func (s *statistics) run() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.due:
		}
		if err := s.gather(); err != nil && s.ctx.Err() == nil {
			s.d.log.Warn("new tables are not analyzed; autovacuum will", "store", s.d.schema, "error", err)
		}
	}
}

// gather analyzes every table of the schema that has grown and never was.
func (s *statistics) gather() (err error) {
	look := newSession(s.d, migrates, s.ctx)
	if look.raw, err = s.d.dial(s.ctx, migrates, nil); err != nil {
		return err
	}
	defer func() { _ = look.Close() }()
	tables, err := look.ask(s.ctx, `SELECT coalesce(string_agg(format('%I', relname), ', '), '') FROM pg_class
		WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND reltuples <= 0 AND relname <> 'souk_writer'
		AND pg_relation_size(oid) >= current_setting('block_size')::bigint * `+strconv.Itoa(statisticsPages), quoted(s.d.schema))
	if err != nil {
		return fmt.Errorf("look for tables that were never analyzed: %w", err)
	}
	if tables == "" {
		return nil
	}
	return look.failed(look.raw.Exec(s.ctx, "ANALYZE "+tables).Close())
}

func (s *statistics) close() {
	s.stop()
	s.done.Wait()
}
