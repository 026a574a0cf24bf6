package backup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// fileMax bounds one file of a backup, in bytes: a part, or the manifest.
const fileMax = 256 << 20

// Tar writes a backup as a stream. The files are compressed by themselves.
func Tar(to io.Writer, at time.Time) *TarSink { return &TarSink{tar.NewWriter(to), at} }

// TarSink is a stream of files.
type TarSink struct {
	to *tar.Writer
	at time.Time
}

// File writes one file.
func (t *TarSink) File(name string, content []byte) error {
	err := t.to.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: t.at, Format: tar.FormatPAX})
	if err == nil {
		_, err = t.to.Write(content)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Close ends the stream.
func (t *TarSink) Close() error { return t.to.Close() }

// Untar hands the files of a stream on. Names that lead out of a folder are refused.
func Untar(from io.Reader, to Sink) error {
	for entries := tar.NewReader(from); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the backup: %w", err)
		}
		if !filepath.IsLocal(header.Name) || header.Typeflag != tar.TypeReg || header.Size > fileMax {
			return fmt.Errorf("read the backup: %q is no file of one", header.Name)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			return fmt.Errorf("read the backup: %s: %w", header.Name, err)
		}
		if err := to.File(header.Name, content); err != nil {
			return err
		}
	}
}

// Folder keeps a backup as files, each of them durable before the next, and for its owner's eyes only.
type Folder string

// File writes one file.
func (f Folder) File(name string, content []byte) error {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
