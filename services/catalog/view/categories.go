package view

import (
	"context"
	"encoding/json"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// Categories are those behind a path, in the order of paths; more says that
// others follow.
func (v *View) Categories(ctx context.Context, afterPath string, size int) (found []product.Category, more bool, err error) {
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		found, more, err = categories(tx, afterPath, size)
		return err
	})
	return found, more, err
}

func categories(tx sqlstore.Tx, afterPath string, size int) (found []product.Category, more bool, err error) {
	rows, err := tx.Query(`SELECT id, parent_id, path, position, title FROM categories
		WHERE path > ? ORDER BY path LIMIT ?`, afterPath, size+1)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(found) == size {
			return found, true, nil
		}
		var k product.Category
		var title []byte
		if err := rows.Scan(&k.ID, &k.ParentID, &k.Path, &k.Position, &title); err != nil {
			return nil, false, err
		}
		if err := json.Unmarshal(title, &k.Title); err != nil {
			return nil, false, err
		}
		found = append(found, k)
	}
	return found, false, rows.Err()
}
