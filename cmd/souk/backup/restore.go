package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/term"

	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// all stands for every room in --place.
const all = "all"

// RestoreCmd is `souk restore`.
type RestoreCmd struct {
	From  string   `arg:"" help:"The backup: a folder or a file." type:"path"`
	Data  string   `required:"" help:"Data folder that is made." placeholder:"DIR" type:"path"`
	Place []string `help:"Where a room is to keep its rows, if not in the data folder: orders=postgres://user:password@host:5432/database, or all=… for every room; may be repeated." placeholder:"ROOM=URL" sep:"none"`
}

// Help is what --help says beside the flags.
func (*RestoreCmd) Help() string {
	return "Every room of the backup, or none: rooms of different moments contradict each other. Until it has ended, nothing opens the folder or the databases."
}

// Run restores a backup.
func (c *RestoreCmd) Run(ctx context.Context, out io.Writer) error {
	if err := placement.BeginRestore(c.Data); err != nil {
		return err
	}
	from, done, err := c.open()
	if err != nil {
		return fmt.Errorf("restore %s: %w", c.From, err)
	}
	m, entries, err := c.restore(ctx, from)
	if err = errors.Join(err, done()); err != nil {
		return fmt.Errorf("restore %s: %w; delete %s before you try again", c.From, err, c.Data)
	}
	if err := placement.EndRestore(c.Data, entries); err != nil {
		return err
	}
	fmt.Fprintf(out, "restored %d rooms as of %s (%s) into %s\n", len(m.Rooms), m.At.Format("2006-01-02 15:04:05.000Z07:00"), m.ID, c.Data)
	fmt.Fprintln(out, "A payment provider may know of payments that were made later: the shop asks it when it starts; souk verify tells what remains.")
	return nil
}

// open unpacks a file beside the stores; done removes that again.
func (c *RestoreCmd) open() (from fs.FS, done func() error, err error) {
	nothing := func() error { return nil }
	is, err := os.Stat(c.From)
	if err != nil || is.IsDir() {
		return os.DirFS(c.From), nothing, err
	}
	f, err := os.Open(c.From)
	if err != nil {
		return nil, nothing, err
	}
	defer func() { _ = f.Close() }() // it is only read
	r, err := zstd.NewReader(f)
	if err != nil {
		return nil, nothing, err
	}
	defer r.Close()
	dir := filepath.Join(c.Data, "restoring")
	done = func() error { return os.RemoveAll(dir) }
	if err := backup.Untar(r, backup.Folder(dir)); err != nil {
		return nil, nothing, errors.Join(err, done())
	}
	return os.DirFS(dir), done, nil
}

func (c *RestoreCmd) restore(ctx context.Context, from fs.FS) (*backup.Manifest, map[string]placement.Entry, error) {
	m, err := backup.ReadManifest(from)
	if err != nil {
		return nil, nil, err
	}
	places, err := c.places(m)
	if err != nil {
		return nil, nil, err
	}
	p := newProgress("restore", os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.end()
	err = backup.Restore(ctx, from, m, backup.RestoreOptions{
		Open: func(ctx context.Context, room string, schemas []sqlstore.Schema) (*sqlstore.Store, error) {
			return placement.OpenAt(ctx, c.Data, room, places[room], sqlstore.Options{Name: room, Schemas: schemas})
		},
		Progress: func(room, table string, rows, total int64) {
			p.tell(fmt.Sprintf("%s %s: %d of %d rows", room, table, rows, total))
		},
	})
	if err != nil {
		return nil, nil, err
	}
	entries := map[string]placement.Entry{}
	for room, place := range places {
		if place != placement.File {
			entries[room] = placement.Entry{Place: place, Move: m.ID, At: time.Now().UTC()}
		}
	}
	return m, entries, c.files(from, m)
}

// places are where the rooms of the backup go.
func (c *RestoreCmd) places(m *backup.Manifest) (map[string]placement.Place, error) {
	places, known := map[string]placement.Place{}, map[string]bool{all: true}
	for _, r := range m.Rooms {
		places[r.Name], known[r.Name] = placement.File, true
	}
	set := func(text, room string) (err error) { places[room], err = placement.ParsePlace(text, room); return err }
	for _, wanted := range []bool{true, false} { // what holds for all comes first
		for _, given := range c.Place {
			name, text, ok := strings.Cut(given, "=")
			if !ok || !known[name] {
				return nil, fmt.Errorf("--place %s=…: write ROOM=URL with a room of the backup, or all=URL", name)
			}
			if (name == all) != wanted {
				continue
			}
			for _, r := range m.Rooms {
				if name != all && name != r.Name {
					continue
				}
				if err := set(text, r.Name); err != nil {
					return nil, fmt.Errorf("--place %s=…: %w", name, err)
				}
			}
		}
	}
	return places, nil
}

// files puts the keys back, for their owner's eyes only.
func (c *RestoreCmd) files(from fs.FS, m *backup.Manifest) error {
	for _, f := range m.Files {
		content, err := f.Read(from)
		if err != nil {
			return err
		}
		if err := backup.Folder(c.Data).File(f.Name, content); err != nil {
			return err
		}
	}
	return nil
}
