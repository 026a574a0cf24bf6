package importer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// QuarantineFor is where the refused rows of a file go unless another place is named.
func QuarantineFor(path string) string { return path + ".rejected.jsonl" }

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
	if kept, err := os.Stat(quarantinePath); err == nil && os.SameFile(info, kept) {
		return Summary{}, fmt.Errorf("import %s: the quarantine must be another file", path)
	}
	if err := os.Remove(quarantinePath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Summary{}, fmt.Errorf("import %s: clear the quarantine: %w", path, err)
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
