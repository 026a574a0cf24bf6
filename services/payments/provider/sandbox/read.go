package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-21071466/souk/services/payments/provider"
)

// Read hands every payment of the journal in dir to each, in the order of
// their making. It changes nothing, so it may read the books of a living
// sandbox; a line that is being written is left out.
func Read(dir string, each func(provider.Payment) error) error {
	file, err := os.Open(filepath.Join(dir, journalName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read journal of the sandbox provider: %w", err)
	}
	defer file.Close()
	x, j := newIndex(), journal{file: file}
	var r record
	if _, err := replay(file, func(line string, offset int64) error {
		if err := r.parse(line); err != nil {
			return err
		}
		return x.learn(&r, offset)
	}); err != nil {
		return fmt.Errorf("read journal %s: %w", file.Name(), err)
	}
	for _, e := range x.entries {
		line, err := j.line(e.offset)
		if err == nil {
			err = r.parse(line)
		}
		if err == nil {
			err = each(x.payment(e, &r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
