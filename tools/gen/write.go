package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// compare lists the files of gen/ that are missing, stale or stray.
func compare(root string, out output) ([]string, error) {
	var drift []string
	for _, name := range slices.Sorted(maps.Keys(out)) {
		have, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			drift = append(drift, "missing "+name)
		case err != nil:
			return nil, fmt.Errorf("compare: %w", err)
		case string(have) != out[name]:
			drift = append(drift, "stale   "+name)
		}
	}
	stray, err := strays(root, out)
	return append(drift, stray...), err
}

// strays lists what lies in gen/ and comes from no contract.
func strays(root string, out output) ([]string, error) {
	var drift []string
	err := filepath.WalkDir(filepath.Join(root, "gen"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if name := filepath.ToSlash(rel); out[name] == "" {
			drift = append(drift, "stray   "+name)
		}
		return err
	})
	return drift, err
}

// write makes gen/ what the contracts say, touching only what differs.
func write(root string, out output, drift []string) error {
	for _, d := range drift {
		kind, name, _ := strings.Cut(d, " ")
		name = strings.TrimSpace(name)
		path := filepath.Join(root, filepath.FromSlash(name))
		if kind == "stray" {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove %s: %w", name, err)
			}
			os.Remove(filepath.Dir(path)) // only when nothing is left in it
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(out[name]), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
