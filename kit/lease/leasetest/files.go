package leasetest

import (
	"io/fs"
	"testing/fstest"
)

// files is a folder of migrations, by name.
type files map[string]string

// Open opens one of them.
func (f files) Open(name string) (fs.File, error) {
	folder := make(fstest.MapFS, len(f))
	for file, text := range f {
		folder[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return folder.Open(name)
}
