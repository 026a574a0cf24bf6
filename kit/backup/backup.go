// Package backup copies all rooms of a shop at one watermark, and puts such a copy into empty stores.
//
//	hold every room's updates ─► all are held ─► begin a snapshot in each ─► let go … copy the snapshots at leisure
//
// What the snapshots show is the state of all rooms at one moment: that at which the last hold had begun and none had
// ended. So nobody in the copy has heard of an event that its source does not have. The updates stand still for
// milliseconds. A room may be in another process: a hold there is the same two steps over the network, and ends of itself
// when whoever asked for it is heard no more.
//
// The copy is portable: a file of JSON lines for each table, from SQLite or PostgreSQL into either, and a manifest, which
// is written last: without it the copy is none.
package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
)

// HoldMax is how long the updates of a room may be held for a backup: longer than any healthy shop needs for two
// questions to each of its rooms, and short enough for those who wait.
const HoldMax = 3 * time.Second

// Room is a room as a backup sees it, wherever it is.
type Room interface {
	Name() string
	// Hold holds the room's updates until Release, for most at most.
	Hold(ctx context.Context, most time.Duration) (Held, error)
}

// Held is a room whose updates are held.
type Held interface {
	// Begin takes the snapshot. It fails if the hold has ended before the snapshot stood.
	Begin(ctx context.Context) (Snapshot, error)
	// Release lets the updates go on.
	Release()
}

// Snapshot is a room at one moment.
type Snapshot interface {
	// Dump hands the room's files to the sink and describes them.
	Dump(ctx context.Context, to Sink) (RoomManifest, error)
	Close() error
}

// Sink takes the files of a backup, one after the other.
type Sink interface {
	File(name string, content []byte) error
}

// Options of Take; the zero value works.
type Options struct {
	Shop     string
	Dir      string                       // the data folder, whose keys are copied too; "" for none
	HoldMax  time.Duration                // default HoldMax
	Clock    clock.Clock                  // default clock.System
	Progress func(room string, n, of int) // told as each room begins; default nobody
}

// keysFolder is the part of the data folder that is copied: the keys by which tokens are signed, and the digests of the
// staff's. Mails that were written to files have left the shop, as those that were sent, and the sandbox provider is an
// outsider: both stay.
const keysFolder = "keys"

// Take copies the rooms, and last the manifest.
func Take(ctx context.Context, rooms []Room, to Sink, o Options) (*Manifest, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.HoldMax <= 0 {
		o.HoldMax = HoldMax
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	m := &Manifest{Format: format, ID: "bak_" + rand.Text(), Shop: o.Shop}
	snapshots, err := m.begin(ctx, rooms, o)
	defer func() {
		for _, s := range snapshots {
			_ = s.Close() // it only read
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("back up at one watermark: %w", err)
	}
	for i, s := range snapshots {
		o.Progress(rooms[i].Name(), i, len(rooms))
		r, err := s.Dump(ctx, to)
		if err != nil {
			return nil, fmt.Errorf("back up %s: %w", rooms[i].Name(), err)
		}
		m.Rooms = append(m.Rooms, r)
	}
	if err := m.keys(o.Dir, to); err != nil {
		return nil, err
	}
	return m, m.write(to)
}

// begin holds all rooms, begins all snapshots, and lets all go.
func (m *Manifest) begin(ctx context.Context, rooms []Room, o Options) (snapshots []Snapshot, err error) {
	began := o.Clock.Now()
	held := make([]Held, len(rooms))
	defer func() {
		for _, h := range held {
			if h != nil {
				h.Release()
			}
		}
		m.HeldMS = float64(o.Clock.Now().Sub(began).Microseconds()) / 1000
	}()
	err = atOnce(rooms, func(i int, r Room) (err error) {
		bound, cancel := context.WithTimeout(ctx, o.HoldMax)
		defer cancel()
		held[i], err = r.Hold(bound, o.HoldMax)
		return named(r, "hold", err)
	})
	if err != nil {
		return nil, err
	}
	m.At = o.Clock.Now()
	begun := make([]Snapshot, len(rooms))
	err = atOnce(rooms, func(i int, r Room) (err error) {
		begun[i], err = held[i].Begin(ctx)
		return named(r, "begin a snapshot of", err)
	})
	return slices.DeleteFunc(begun, func(s Snapshot) bool { return s == nil }), err
}

func named(r Room, what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, r.Name(), err)
	}
	return nil
}

// atOnce asks all rooms side by side.
func atOnce(rooms []Room, ask func(i int, r Room) error) error {
	errs := make([]error, len(rooms))
	var wg sync.WaitGroup
	for i, r := range rooms {
		wg.Go(func() { errs[i] = ask(i, r) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// keys copies the folder of keys.
func (m *Manifest) keys(dir string, to Sink) error {
	if dir == "" {
		return nil
	}
	files, err := os.ReadDir(filepath.Join(dir, keysFolder))
	if err != nil {
		return fmt.Errorf("back up the keys: %w", err)
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, keysFolder, f.Name()))
		if err != nil {
			return fmt.Errorf("back up the keys: %w", err)
		}
		name := keysFolder + "/" + f.Name()
		if err := to.File(name, content); err != nil {
			return err
		}
		m.Files = append(m.Files, fileOf(name, content))
	}
	return nil
}
