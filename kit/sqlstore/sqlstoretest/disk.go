package sqlstoretest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// fullDisk writes from several callers until the disk is full, then checks the books.
func (s *suite) fullDisk(disk Disk) {
	s.store = disk.Store
	acknowledged := s.writeUntilFull(disk)
	if len(acknowledged) == 0 {
		s.Fatal("nothing was written before the disk was full")
	}
	s.lost(acknowledged) // reads go on
	if err := s.update(func(tx sqlstore.Tx) error { return insert(tx, 1<<40, make([]byte, 64<<10)) }); !problem.Is(err, "storage_unavailable") {
		s.Errorf("a write to a full disk: %v", err)
	}
	disk.Free()
	s.resumes()
	s.lost(acknowledged)
	s.ok(s.store.Close())
	s.store = disk.Reopen()
	s.lost(acknowledged)
	s.ok(s.store.Close())
}

// writeUntilFull collects what was acknowledged while the disk filled up underneath.
func (s *suite) writeUntilFull(disk Disk) (acknowledged []int) {
	var mu sync.Mutex
	var failures atomic.Int64
	deadline := time.Now().Add(20 * time.Second)
	var filling sync.WaitGroup
	defer filling.Wait()
	filling.Go(func() {
		time.Sleep(20 * time.Millisecond) // some are written before
		disk.Fill()
	})
	concurrently(8, func(w int) {
		for id := w + 1; failures.Load() < 50 && time.Now().Before(deadline); id += 8 {
			switch err := s.update(func(tx sqlstore.Tx) error { return insert(tx, id, make([]byte, 4<<10)) }); {
			case err == nil:
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
			case problem.Is(err, "storage_unavailable"):
				failures.Add(1)
			default:
				s.Error(err)
				return
			}
		}
	})
	if failures.Load() == 0 {
		s.Fatal("the disk never filled up")
	}
	return acknowledged
}

func (s *suite) lost(acknowledged []int) {
	s.Helper()
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		for _, id := range acknowledged {
			var size int
			if err := tx.QueryRow("SELECT length(body) FROM entries WHERE id = ?", id).Scan(&size); err != nil {
				s.Errorf("acknowledged row %d: %v", id, err)
			}
		}
		return nil
	}))
}

func (s *suite) resumes() {
	s.Helper()
	if err := s.set("after", 1); err != nil {
		s.Errorf("a write with room again: %v", err)
	}
	s.wants("after", 1)
}
