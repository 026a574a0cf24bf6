package importer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// QuarantineFor is where the refused rows of a file go unless another place is named: into
// the current folder, for that of the file need not be one to write to.
func QuarantineFor(path string) string { return filepath.Base(path) + ".rejected.jsonl" }

// File imports a file and keeps its refused rows at the quarantine path,
// QuarantineFor(path) when that is "". What an earlier run left there is
// removed; without a refused row there is no such file.
func File(ctx context.Context, path, quarantinePath string, shop *Shop, o Options) (Summary, error) {
	if quarantinePath == "" {
		quarantinePath = QuarantineFor(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return Summary{}, fmt.Errorf("import: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Summary{}, fmt.Errorf("import: %w", err)
	}
	if err := clearQuarantine(quarantinePath, info); err != nil {
		return Summary{}, fmt.Errorf("import %s: %w", path, err)
	}
	late := &lateFile{path: quarantinePath}
	o.Quarantine = late
	src := Source{Name: filepath.Base(path), Reader: file}
	if info.Mode().IsRegular() {
		src.Size = info.Size()
	}
	summary, err := Import(ctx, src, shop, o)
	return summary, errors.Join(err, late.Close())
}

// clearQuarantine removes what an earlier run left; a device or a pipe stays.
func clearQuarantine(path string, imported os.FileInfo) error {
	kept, err := os.Stat(path)
	switch {
	case err != nil:
		return nil // nothing is there, or making it will tell why
	case os.SameFile(imported, kept):
		return errors.New("the quarantine must be another file")
	case !kept.Mode().IsRegular():
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("clear the quarantine: %w", err)
	}
	return nil
}

// lateFile is made when the first byte is written.
type lateFile struct {
	path string
	file *os.File
}

// Write makes the file if it is not there.
func (l *lateFile) Write(p []byte) (n int, err error) {
	if l.file == nil {
		if l.file, err = os.Create(l.path); err != nil {
			return 0, err
		}
	}
	return l.file.Write(p)
}

// Close closes the file if there is one.
func (l *lateFile) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
