package auth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
	if err := keep(path, made); err != nil {
		return nil, err
	}
	return made, nil
}

// keep writes a new file by way of a temporary one, readable by us alone.
func keep(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // refuses to overwrite
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
