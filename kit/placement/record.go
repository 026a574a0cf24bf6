package placement

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// RecordFile is the name of the record in the data folder. Its owner alone can read it: the places in it have passwords.
const RecordFile = "placement.json"

// recordVersion is that of the record's form.
const recordVersion = 1

// Record is where moves have put rooms. A room without an entry is where the settings say.
type Record struct {
	Version int              `json:"version"`
	Rooms   map[string]Entry `json:"rooms"`
}

// Entry is where a room is since a move, or a restore.
type Entry struct {
	Place Place     `json:"place"`
	Move  string    `json:"move"` // its id
	From  Place     `json:"from"` // where the rows were before
	At    time.Time `json:"at"`
}

// unfinished is a file in a data folder that is being restored; nobody opens such a folder.
const unfinished = "restore-unfinished"

// BeginRestore makes a data folder, which must be empty or not exist, one that nobody opens until EndRestore.
func BeginRestore(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	has, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data folder: %w", err)
	}
	if len(has) > 0 {
		return fmt.Errorf("the data folder %s is not empty: a backup is restored into an empty one", dir)
	}
	return replace(filepath.Join(dir, unfinished), []byte("souk restore has not ended here. Delete this folder and restore again.\n"))
}

// EndRestore says where rooms are that are not in the folder, and lets the folder be opened.
func EndRestore(dir string, rooms map[string]Entry) error {
	if len(rooms) > 0 {
		if err := Change(dir, func(r *Record) { maps.Copy(r.Rooms, rooms) }); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, unfinished)); err != nil {
		return fmt.Errorf("end the restore: %w", err)
	}
	return nil
}

// Read reads the record of a data folder, an empty one if there is none.
func Read(dir string) (Record, error) {
	if _, err := os.Stat(filepath.Join(dir, unfinished)); err == nil {
		return Record{}, fmt.Errorf("a restore has not ended in %s: delete that folder and restore again", dir)
	}
	return read(dir)
}

func read(dir string) (Record, error) {
	r := Record{Version: recordVersion, Rooms: map[string]Entry{}}
	path := filepath.Join(dir, RecordFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read where rooms are: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read where rooms are: %s is damaged, and says which database has each room's rows: %w", path, err)
	}
	if r.Version != recordVersion {
		return r, fmt.Errorf("read where rooms are: %s has version %d and this build knows %d", path, r.Version, recordVersion)
	}
	if r.Rooms == nil {
		r.Rooms = map[string]Entry{}
	}
	return r, nil
}

// Change changes the record, durably and at once: a crash leaves the old one or the new one. After an error the old one
// holds.
func Change(dir string, change func(*Record)) error {
	unlock, err := lockFile(filepath.Join(dir, "placement.lock"), syscall.LOCK_EX)
	if err != nil {
		return fmt.Errorf("write where rooms are: %w", err)
	}
	defer func() { _ = unlock() }() // nothing was written to it
	r, err := read(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, RecordFile)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write where rooms are: %w", err)
	}
	change(&r)
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = replace(path, append(text, '\n'))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write where rooms are: %w", err), putBack(path, old))
	}
	return nil
}

// putBack undoes a replacement of which nobody knows whether it would outlive a crash.
func putBack(path string, old []byte) error {
	now, err := os.ReadFile(path)
	if err == nil && string(now) == string(old) || errors.Is(err, fs.ErrNotExist) && old == nil {
		return nil
	}
	if old == nil {
		return os.Remove(path)
	}
	return replace(path, old)
}

// replace writes a whole file in place of another.
func replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".placement-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // there is none any more after a rename
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// lockFile takes a lock that the operating system lets go of when the process ends, however it ends.
func lockFile(path string, how int) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// Lock takes a room's file in the data folder for this process alone: starting over a killed shop needs no repair by
// hand.
func Lock(dir, room string) (unlock func() error, err error) {
	unlock, err = lockFile(filepath.Join(dir, room+".lock"), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s in the data folder %s is in use by another souk; stop it, or ask it with --url", room, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s in the data folder %s: %w", room, dir, err)
	}
	return unlock, nil
}
