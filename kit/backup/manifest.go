package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// format is that of backups; a build reads only those that it knows.
const format = 1

// ManifestFile is the name of the manifest.
const ManifestFile = "manifest.json"

// Manifest says what a backup holds.
type Manifest struct {
	Format int            `json:"format"`
	ID     string         `json:"id"`
	Shop   string         `json:"shop"`
	At     time.Time      `json:"at"`      // the watermark: all that was acknowledged before is in it
	HeldMS float64        `json:"held_ms"` // how long updates stood still for it
	Rooms  []RoomManifest `json:"rooms"`
	Files  []File         `json:"files"` // of the data folder
}

// RoomManifest is what a backup has of one room.
type RoomManifest struct {
	Name      string     `json:"name"`
	Head      int64      `json:"head"` // where its log ends, 0 without one
	Consumers []Consumer `json:"consumers"`
	Schemas   []Schema   `json:"schemas"`
	Tables    []Table    `json:"tables"`
}

// Consumer is how far the room has heard another.
type Consumer struct {
	Name     string `json:"name"`
	Source   string `json:"source"`
	Position int64  `json:"position"`
}

// Schema is the migrations that have made some of a room's tables, so that a later build can make them again.
type Schema struct {
	Name       string   `json:"name"`
	Migrations []Script `json:"migrations"`
}

// Script is one migration.
type Script struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

// Table is one table and the files with its rows.
type Table struct {
	tables.Table
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"` // see tables.Digest
	Parts  []File `json:"parts"`
}

// File is one file of the backup.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func fileOf(name string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{name, int64(len(content)), hex.EncodeToString(sum[:])}
}

// Read reads a file of a backup and finds what was damaged.
func (f File) Read(from fs.FS) ([]byte, error) {
	content, err := fs.ReadFile(from, f.Name)
	if err != nil {
		return nil, err
	}
	return content, f.check(content)
}

func (f File) check(content []byte) error {
	if is := fileOf(f.Name, content); is != f {
		return fmt.Errorf("%s is damaged: it has %d bytes of SHA-256 %s, the manifest says %d of %s", f.Name, is.Bytes, is.SHA256, f.Bytes, f.SHA256)
	}
	return nil
}

func (m *Manifest) write(to Sink) error {
	if err := m.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return to.File(ManifestFile, append(text, '\n'))
}

// ReadManifest reads and checks a manifest.
func ReadManifest(from fs.FS) (*Manifest, error) {
	text, err := fs.ReadFile(from, ManifestFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return ParseManifest(text)
}

// ParseManifest checks the text of a manifest, which is empty where there is none.
func ParseManifest(text []byte) (*Manifest, error) {
	if len(text) == 0 {
		return nil, errors.New("there is no " + ManifestFile + ", which is written last: this is no backup, or one that was broken off")
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", ManifestFile, err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("the backup has format %d and this build knows %d: restore it with the build that made it, or a later one", m.Format, format)
	}
	return &m, m.check()
}

// check holds that nobody in the backup has heard what its source has not said, and that no name leads out of it.
func (m *Manifest) check() error {
	heads := map[string]int64{}
	for _, r := range m.Rooms {
		if r.Name == "" || strings.ContainsAny(r.Name, `/\.`) {
			return fmt.Errorf("the backup has a room of the name %q", r.Name)
		}
		heads[r.Name] = r.Head
	}
	for _, r := range m.Rooms {
		for _, c := range r.Consumers {
			if head, known := heads[c.Source]; known && c.Position > head {
				return fmt.Errorf("the backup is not of one watermark: %s has handled %s/%d, which ends at %d", c.Name, c.Source, c.Position, head)
			}
		}
	}
	for _, f := range m.Files {
		if path.Dir(f.Name) != keysFolder {
			return fmt.Errorf("the backup has a file %q, which no shop has", f.Name)
		}
	}
	return nil
}

// schemasOf reads the scripts of schemas.
func schemasOf(schemas []sqlstore.Schema) ([]Schema, error) {
	var list []Schema
	for _, s := range schemas {
		names, err := fs.Glob(s.Files, "*.sql")
		if err != nil {
			return nil, err
		}
		made := Schema{Name: s.Name}
		for _, name := range names {
			script, err := fs.ReadFile(s.Files, name)
			if err != nil {
				return nil, fmt.Errorf("read migration %s of %s: %w", name, s.Name, err)
			}
			made.Migrations = append(made.Migrations, Script{name, string(script)})
		}
		list = append(list, made)
	}
	return list, nil
}

// scripts are the migrations of a schema as a store reads them.
type scripts []Script

// Open is for no one: a store asks for names and for whole files.
func (scripts) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}

// Glob lists the names that match.
func (s scripts) Glob(pattern string) (names []string, err error) {
	for _, script := range s {
		if ok, err := path.Match(pattern, script.Name); err != nil {
			return nil, err
		} else if ok {
			names = append(names, script.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// ReadFile gives a script.
func (s scripts) ReadFile(name string) ([]byte, error) {
	for _, script := range s {
		if script.Name == name {
			return []byte(script.SQL), nil
		}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

func (r RoomManifest) schemas() []sqlstore.Schema {
	var list []sqlstore.Schema
	for _, s := range r.Schemas {
		list = append(list, sqlstore.Schema{Name: s.Name, Files: scripts(s.Migrations)})
	}
	return list
}
