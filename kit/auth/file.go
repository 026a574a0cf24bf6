package auth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// readOrMake reads a secret, or makes it once and keeps it durably: a crash
// leaves either no file or the whole one. The file that exists always wins.
func readOrMake(path string, fresh func() []byte) ([]byte, error) {
	have, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return have, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	made := fresh()
	err = keep(path, made)
	if errors.Is(err, fs.ErrExist) {
		return os.ReadFile(path) // another process was first
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

// keep writes a new file; one that is there already is not overwritten.
func keep(path string, data []byte) error {
	return write(path, data, os.Link)
}

// replace writes a file in place of the one that is there.
func replace(path string, data []byte) error {
	return write(path, data, os.Rename)
}

// write makes a whole file, readable by us alone, and lets place put it where it belongs.
func write(path string, data []byte, place func(from, to string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // there is none any more after a rename
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := place(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// lockDir keeps other processes that lock a folder waiting; the operating system
// lets go of it when the process ends.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return func() { _ = d.Close() }, nil // nothing was written to it
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
