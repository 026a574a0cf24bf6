package replay

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Role is a file of a replay and what it is for, "--state".
type Role struct{ Name, Path string }

// Apart refuses one file in two roles, so that none is written over another. Devices and
// pipes may be named twice, and so may "", which is no file.
func Apart(roles ...Role) error {
	for i, a := range roles {
		for _, b := range roles[:i] {
			same, err := sameFile(a.Path, b.Path)
			if err != nil {
				return err
			}
			if same {
				return fmt.Errorf("%s and %s are the same file, %s: name different ones", b.Name, a.Name, a.Path)
			}
		}
	}
	return nil
}

// sameFile says that two paths lead to one file, there or not yet.
func sameFile(a, b string) (bool, error) {
	if a == "" || b == "" {
		return false, nil
	}
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	if errOne == nil && errOther == nil {
		return os.SameFile(one, other) && one.Mode().IsRegular(), nil
	}
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return a == b, errors.Join(errA, errB)
}

// Later is a file that is written beside its place and put there by Keep, whole. Until
// then what lay there stays, and it stays for good when the replay fails.
type Later struct {
	path, part string
	file       *os.File
	text       *bufio.Writer
	err        error
}

// NewLater is one for a path, whose folder must be there.
func NewLater(path string) (*Later, error) {
	l := &Later{path: path}
	switch info, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("there is no folder for %s", path)
		}
		l.part = partOf(path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
	case info.Mode().IsRegular():
		if l.path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
		l.part = partOf(l.path)
	}
	return l, nil
}

// partOf is where a file is written before it is whole, no other process's.
func partOf(path string) string { return path + "." + strconv.Itoa(os.Getpid()) + ".part" }

// Write takes text that Keep will put in its place.
func (l *Later) Write(text []byte) (int, error) {
	if err := l.begin(); err != nil {
		return 0, err
	}
	return l.text.Write(text)
}

// begin opens the file; a device or a pipe has no place beside it and is written to at once.
func (l *Later) begin() error {
	if l.file != nil || l.err != nil {
		return l.err
	}
	if l.part == "" {
		l.file, l.err = os.OpenFile(l.path, os.O_WRONLY, 0)
	} else {
		l.file, l.err = os.Create(l.part)
	}
	l.text = bufio.NewWriterSize(l.file, 1<<16)
	return l.err
}

// Keep puts what was written, which may be nothing, in its place.
func (l *Later) Keep() error {
	if err := l.begin(); err != nil {
		return err
	}
	if err := l.text.Flush(); err != nil {
		return errors.Join(err, l.Drop())
	}
	if err := l.file.Close(); err != nil || l.part == "" {
		return err
	}
	return os.Rename(l.part, l.path)
}

// Drop gives up what was written, if anything was.
func (l *Later) Drop() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	if l.part != "" {
		err = errors.Join(err, os.Remove(l.part))
	}
	return err
}
