// Package backup is `souk backup` and `souk restore`: all rooms of a shop at one watermark, into a folder or a file and
// from there into empty stores, embedded or PostgreSQL.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/term"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/kit/backup"
)

const address = "/api/backups/"

// Cmd is `souk backup`.
type Cmd struct {
	client.Target `embed:""`

	To string `required:"" help:"Folder that is made, or a file whose name ends with .tar.zst." placeholder:"DIR|FILE" type:"path"`
}

// Help is what --help says beside the flags.
func (*Cmd) Help() string {
	return "All rooms at one watermark, while the shop runs; updates stand still for milliseconds. The backup holds the keys that tokens are signed with: keep it as you keep those. docs/moving.md tells what is not in it."
}

// Run fetches a backup.
func (c *Cmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	if _, err := os.Stat(c.To); err == nil {
		return fmt.Errorf("%s is there already; a backup overwrites nothing", c.To)
	}
	var begun struct{ ID string }
	if err := shop.Post(ctx, address, nil, nil, &begun); err != nil {
		return err
	}
	partial := c.To + ".partial"
	stream := backup.Chunks(func(n int) ([]byte, error) { return shop.Bytes(ctx, address+begun.ID+"/"+strconv.Itoa(n)) })
	m, err := keep(stream, partial, strings.HasSuffix(c.To, ".tar.zst"))
	if err != nil {
		_ = shop.Delete(context.WithoutCancel(ctx), address+begun.ID, nil) // the shop gives it up by itself, too
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, c.To); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(c.To)); err != nil {
		return err
	}
	rows := int64(0)
	for _, r := range m.Rooms {
		for _, t := range r.Tables {
			rows += t.Rows
		}
	}
	fmt.Fprintf(out, "backed up %d rooms, %d rows, as of %s, to %s (%s); updates stood still for %.0f ms\n",
		len(m.Rooms), rows, m.At.Format("2006-01-02 15:04:05.000Z07:00"), c.To, m.ID, m.HeldMS)
	return nil
}

// keep writes the stream to its place, and reads the manifest that ends it.
func keep(from io.Reader, to string, file bool) (*backup.Manifest, error) {
	p := newProgress("backup", os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.end()
	if !file {
		if err := os.Mkdir(to, 0o700); err != nil {
			return nil, err
		}
		if err := backup.Untar(from, watched{p, backup.Folder(to)}); err != nil {
			return nil, err
		}
		return backup.ReadManifest(os.DirFS(to))
	}
	return keepFile(from, to, p)
}

func keepFile(from io.Reader, to string, p *progress) (*backup.Manifest, error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	w, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest)) // the tables are compressed already
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	seen := &onlyManifest{}
	tee := io.TeeReader(from, w)
	err = backup.Untar(tee, watched{p, seen})
	if err == nil {
		_, err = io.Copy(io.Discard, tee) // what follows the last file
	}
	if err := errors.Join(err, w.Close(), f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return seen.manifest()
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
