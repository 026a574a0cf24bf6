// Package placement knows where each room keeps its rows, opens them there, and moves them with the room at work.
//
// The settings say where a room begins. Once its rows have moved, the record in the data folder, placement.json, says
// where they are, and the settings may not say otherwise: that would open a database that has been left behind.
//
//	settings ─┐
//	          ├─► Of ─► OpenStore ─► the room's store ─► Move … ─► record ─► the next start opens it there
//	record ───┘
package placement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

// partingMax bounds how long a start tries to tell a database that its rows have gone.
const partingMax = 5 * time.Second

// Options of New.
type Options struct {
	// Configured is what the settings say of a room: a URL, "file", or "" for nothing.
	Configured func(room string) string
	Clock      clock.Clock  // default clock.System
	Log        *slog.Logger // default slog.Default()
	FenceMax   time.Duration
}

// Homes are the stores of a process's rooms, and their moves.
type Homes struct {
	dir string
	o   Options

	mu    sync.Mutex
	rooms map[string]*home
	locks map[string]func() error // files of rooms that this process has taken
	moves map[string]*moving      // the last of each room
	ended bool
	work  sync.WaitGroup
}

// home is one room's store.
type home struct {
	place   Place
	store   *sqlstore.Store
	options sqlstore.Options // as the room wanted it opened
}

// New knows the rooms of a data folder; none is opened yet.
func New(dir string, o Options) *Homes {
	if o.Configured == nil {
		o.Configured = func(string) string { return "" }
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Homes{dir: dir, o: o, rooms: map[string]*home{}, locks: map[string]func() error{}, moves: map[string]*moving{}}
}

// Of is where a room's rows are. Settings that say otherwise than the record are refused.
func (h *Homes) Of(room string) (Place, Entry, error) {
	record, err := Read(h.dir)
	if err != nil {
		return "", Entry{}, err
	}
	configured := Place(cmp.Or(h.o.Configured(room), string(File)))
	entry, moved := record.Rooms[room]
	if !moved {
		return configured, Entry{}, nil
	}
	if h.o.Configured(room) == "" {
		return entry.Place, entry, nil
	}
	if !configured.Same(entry.Place) {
		return "", Entry{}, fmt.Errorf("the settings keep %s in %s, but its rows moved to %s on %s (%s): remove the setting store.%s or let it name that place; "+
			"to have them in %s, move them with souk split; if the same database only has another address now, change it in %s",
			room, configured, entry.Place, entry.At.Format(time.DateOnly), entry.Move, room, configured, filepath.Join(h.dir, RecordFile))
	}
	return configured, entry, nil // the same database; the settings may have a newer password
}

// OpenStore opens the store of a room where its rows are, for room.Shared.Stores.
func (h *Homes) OpenStore(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
	place, entry, err := h.Of(room)
	if err != nil {
		return nil, err
	}
	if _, err := ParsePlace(string(place), room); err != nil {
		return nil, fmt.Errorf("setting store.%s: %w", room, err)
	}
	if err := h.notLeftBehind(ctx, room, place, entry); err != nil {
		return nil, err
	}
	store, err := h.openAt(ctx, room, place, o)
	if err != nil {
		return nil, err
	}
	if err := h.inCharge(ctx, room, store, entry, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s in %s: %w", room, place, err), store.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms[room] = &home{place, store, o}
	return store, nil
}

// Take takes the files of those rooms that keep their rows in the data folder for this process alone, before anything is
// opened.
func (h *Homes) Take(rooms ...string) error {
	for _, room := range rooms {
		place, _, err := h.Of(room)
		if err != nil {
			return err
		}
		if place != File {
			continue
		}
		if err := h.lock(room); err != nil {
			return err
		}
	}
	return nil
}

// openAt opens a place, and takes it for this process if it is a file.
func (h *Homes) openAt(ctx context.Context, room string, place Place, o sqlstore.Options) (*sqlstore.Store, error) {
	if place == File {
		if err := h.lock(room); err != nil {
			return nil, err
		}
	}
	return OpenAt(ctx, h.dir, room, place, o)
}

// OpenAt opens a room's database, whether or not it is in charge of its rows.
func OpenAt(ctx context.Context, dir, room string, place Place, o sqlstore.Options) (*sqlstore.Store, error) {
	if place == File {
		return sqlstore.Open(ctx, filepath.Join(dir, room+".db"), o)
	}
	return pgstore.Open(ctx, string(place), o)
}

func (h *Homes) file(room string) string { return filepath.Join(h.dir, room+".db") }

// Each gives every store that was opened, in the order of the rooms' names.
func (h *Homes) Each(fn func(room string, store *sqlstore.Store, schemas []sqlstore.Schema)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.names() {
		fn(name, h.rooms[name].store, h.rooms[name].options.Schemas)
	}
}

// lock keeps what it has taken until Close, whatever becomes of the room: a process that opens the same folder is told
// that this one is at work.
func (h *Homes) lock(room string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.locks[room] != nil {
		return nil
	}
	unlock, err := Lock(h.dir, room)
	if err == nil {
		h.locks[room] = unlock
	}
	return err
}

// notLeftBehind refuses settings that have a room begin anew elsewhere while its file is full of rows.
func (h *Homes) notLeftBehind(ctx context.Context, room string, place Place, entry Entry) error {
	if place == File || entry.Move != "" {
		return nil
	}
	if _, err := os.Stat(h.file(room)); err != nil {
		return nil //nolint:nilerr // there is no file
	}
	file, err := sqlstore.Open(ctx, h.file(room), sqlstore.Options{Name: room})
	if err != nil {
		return err
	}
	is, err := move.ReadMark(ctx, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if is.State == move.Sealed {
		return nil
	}
	return fmt.Errorf("the settings keep %s in %s, but the data folder has rows of it, in %s: move them there with souk split %s --to URL, without the setting; "+
		"or remove that file if they are of no use", room, place, h.file(room), room)
}

// inCharge ends what a killed move has left, and refuses a store that is not in charge.
func (h *Homes) inCharge(ctx context.Context, room string, store *sqlstore.Store, entry Entry, o sqlstore.Options) error {
	first, err := move.Opened(ctx, store, entry.Move)
	if err != nil || !first {
		return err
	}
	if err := h.lock(room); err != nil {
		return fmt.Errorf("the process that moved the rows goes on alone: %w", err)
	}
	if err := h.part(ctx, room, entry, o); err != nil {
		h.o.Log.Warn("the former database could not be told that its rows have moved", "room", room, "from", entry.From.String(),
			"error", discreet(err.Error(), entry.From))
	}
	return move.Arrived(ctx, store)
}

// part tells the former database that its rows have gone.
func (h *Homes) part(ctx context.Context, room string, entry Entry, o sqlstore.Options) error {
	if entry.From == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, partingMax)
	defer cancel()
	o.Registerer = nil
	former, err := h.openAt(ctx, room, entry.From, o)
	if err != nil {
		return err
	}
	return errors.Join(move.Left(ctx, former, entry.Move, entry.Place.String()), former.Close())
}

// Stop ends the moves that are under way; their rooms stay where they are. Call it before the rooms close.
func (h *Homes) Stop() {
	h.mu.Lock()
	h.ended = true
	for _, m := range h.moves {
		m.cancel()
	}
	h.mu.Unlock()
	h.work.Wait()
}

// Close lets go of the files, after the rooms have closed.
func (h *Homes) Close() error {
	h.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, unlock := range h.locks {
		errs = append(errs, unlock())
	}
	clear(h.locks)
	return errors.Join(errs...)
}
