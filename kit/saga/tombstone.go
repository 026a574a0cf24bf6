package saga

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

//go:embed tombstones/*.sql
var tombstoneFiles embed.FS

// TombstoneSchema is the table that a room needs which receives steps of sagas.
func TombstoneSchema() sqlstore.Schema {
	return sqlstore.Schema{Name: "saga_tombstones", Files: within(tombstoneFiles, "tombstones")}
}

// Tombstone notes that a step of a run was undone before it was ever done here. Its command may still be on its way;
// Tombstoned refuses it when it comes. Noting it twice is fine. The row stays for good: nobody knows how late a command
// can be, and only a compensation that found nothing leaves one.
func Tombstone(tx sqlstore.Tx, run, step string) error {
	_, err := tx.Exec(`INSERT INTO saga_tombstones (run, step) VALUES (?, ?) ON CONFLICT (run, step) DO NOTHING`, run, step)
	if err != nil {
		return fmt.Errorf("write tombstone run=%s step=%s: %w", run, step, err)
	}
	return nil
}

// Tombstoned says whether a step of a run was undone before it came. Ask in the transaction that would do it.
func Tombstoned(tx sqlstore.Tx, run, step string) (bool, error) {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM saga_tombstones WHERE run = ? AND step = ?`, run, step).Scan(&one)
	switch {
	case errors.Is(err, sqlstore.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for tombstone run=%s step=%s: %w", run, step, err)
	}
	return true, nil
}

// within is the folder of an embedded file system that is known to be there.
func within(files embed.FS, folder string) fs.FS {
	sub, err := fs.Sub(files, folder)
	if err != nil {
		panic(fmt.Sprintf("saga: folder %s is not embedded: %v", folder, err)) // a mistake of the build, not of a caller
	}
	return sub
}
