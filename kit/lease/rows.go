package lease

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// row is a lease as it is stored.
type row struct {
	owner     string
	epoch     int64
	expiresAt int64
}

// free says that the lease may be taken: it is nobody's, it has run out, or it was ours in a tenure that has ended.
func (r row) free(owner string, now int64) bool {
	return r.owner == "" || r.owner == owner || r.expiresAt <= now
}

// anyFree looks whether one of the wanted leases may be taken.
func (k *Keeper) anyFree(ctx context.Context, r round) (free bool, err error) {
	err = k.store.Glance(ctx, func(tx sqlstore.Tx) error {
		rows, err := read(tx, r.wanted)
		for _, name := range r.wanted {
			known, there := rows[name]
			free = free || !there || known.free(k.o.Owner, r.began.UnixMicro())
		}
		return err
	})
	return free, err
}

// renew puts off the end of what is held and takes what is free. It gives the epochs of what is ours afterwards.
func (k *Keeper) renew(ctx context.Context, r round) (ours map[string]int64, err error) {
	err = k.store.Update(ctx, func(tx sqlstore.Tx) error {
		ours, err = k.renewIn(tx, r)
		return err
	})
	return ours, err
}

func (k *Keeper) renewIn(tx sqlstore.Tx, r round) (map[string]int64, error) {
	// The clock is read here, once the store is ours to write: the wait for it is not part of the lease's life.
	now := k.o.Clock.Now()
	names := append([]string(nil), r.wanted...)
	for name := range r.held {
		names = append(names, name)
	}
	rows, err := read(tx, names)
	if err != nil {
		return nil, err
	}
	ours := make(map[string]int64, len(names))
	for _, name := range names {
		known, epoch := rows[name], r.held[name]
		switch {
		case epoch != 0 && known.owner == k.o.Owner && known.epoch == epoch:
		case epoch != 0:
			continue // lost
		case known.free(k.o.Owner, now.UnixMicro()):
			epoch = known.epoch + 1
		default:
			continue // another's
		}
		ours[name] = epoch
		if err := k.put(tx, name, epoch, now); err != nil {
			return nil, err
		}
	}
	return ours, nil
}

func (k *Keeper) put(tx sqlstore.Tx, name string, epoch int64, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO leases (name, owner, epoch, expires_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, expires_at = excluded.expires_at`,
		name, k.o.Owner, epoch, now.Add(k.o.TTL).UnixMicro())
	if err != nil {
		return fmt.Errorf("write lease %s: %w", name, err)
	}
	return nil
}

// release makes the lease nobody's. Its row stays, for its epoch never falls.
func (k *Keeper) release(ctx context.Context, name string, epoch int64) error {
	return k.store.Update(ctx, func(tx sqlstore.Tx) error {
		_, err := tx.Exec(`UPDATE leases SET owner = '', expires_at = 0 WHERE name = ? AND owner = ? AND epoch = ?`, name, k.o.Owner, epoch)
		return err
	})
}

func read(tx sqlstore.Tx, names []string) (map[string]row, error) {
	args := make([]any, len(names))
	for i, name := range names {
		args[i] = name
	}
	rows, err := tx.Query(`SELECT name, owner, epoch, expires_at FROM leases WHERE name IN (?`+strings.Repeat(", ?", len(names)-1)+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	defer rows.Close()
	known := make(map[string]row, len(names))
	for rows.Next() {
		var name string
		var r row
		if err := rows.Scan(&name, &r.owner, &r.epoch, &r.expiresAt); err != nil {
			return nil, fmt.Errorf("read leases: %w", err)
		}
		known[name] = r
	}
	return known, rows.Err()
}

// Living are the owners of leases whose names begin with prefix and that have not run out.
func (k *Keeper) Living(tx sqlstore.Tx, prefix string) (map[string]bool, error) {
	rows, err := tx.Query(`SELECT owner FROM leases WHERE name >= ? AND name < ? AND owner <> '' AND expires_at > ?`,
		prefix, after(prefix), k.o.Clock.Now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list leases %s…: %w", prefix, err)
	}
	defer rows.Close()
	living := make(map[string]bool)
	for rows.Next() {
		var owner string
		if err := rows.Scan(&owner); err != nil {
			return nil, fmt.Errorf("list leases %s…: %w", prefix, err)
		}
		living[owner] = true
	}
	return living, rows.Err()
}

// Forget removes what is left of leases whose names begin with prefix and that ran out before then. It is for names that
// never come back, such as those of processes.
func Forget(tx sqlstore.Tx, prefix string, before time.Time) error {
	_, err := tx.Exec(`DELETE FROM leases WHERE name >= ? AND name < ? AND expires_at < ?`, prefix, after(prefix), before.UnixMicro())
	if err != nil {
		return fmt.Errorf("forget leases %s…: %w", prefix, err)
	}
	return nil
}

// after is the first name beyond those that begin with prefix; names are ASCII.
func after(prefix string) string { return prefix + "\x7f" }
