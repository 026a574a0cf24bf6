package shop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes a room's file in the data folder for this process alone. The operating
// system lets go of it when the process ends, however it ends: starting over a killed
// shop needs no repair by hand.
func lock(dir, room string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, room+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s in the data folder: %w", room, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("%s in the data folder %s is in use by another souk; stop it, or ask it with --url", room, dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s in the data folder %s: %w", room, dir, err), f.Close())
	}
	return f.Close, nil
}
