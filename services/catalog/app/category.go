package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// PutCategory makes or replaces a category. One that moves takes all below it along.
func (c *Catalog) PutCategory(ctx context.Context, next product.Category) (product.Category, error) {
	next, err := product.NormaliseCategory(next)
	if err != nil {
		return next, err
	}
	err = c.store.Update(ctx, func(tx sqlstore.Tx) error {
		next.Path = "" // fn may run again
		oldPath, err := text(tx, `SELECT path FROM categories WHERE id = ?`, next.ID)
		if err != nil {
			return err
		}
		if next, err = place(tx, next, oldPath); err != nil {
			return err
		}
		if err := writeCategory(tx, next); err != nil {
			return err
		}
		if oldPath == "" || oldPath == next.Path {
			return nil
		}
		return c.moveBelow(tx, oldPath, next)
	})
	return next, doing("put category", next.ID, err)
}

// place finds the parent and lets the heart say whether the category may stand there.
func place(tx sqlstore.Tx, next product.Category, oldPath string) (product.Category, error) {
	parentPath, height := "", 0
	if next.ParentID != "" {
		err := tx.QueryRow(`SELECT path FROM categories WHERE id = ?`, next.ParentID).Scan(&parentPath)
		if errors.Is(err, sqlstore.ErrNoRows) {
			return next, problem.Field("parent_id", "unknown_category", "there is no such category; make it first")
		}
		if err != nil {
			return next, err
		}
	}
	if oldPath != "" {
		var slashes int
		if err := tx.QueryRow(`SELECT COALESCE(MAX(LENGTH(path) - LENGTH(REPLACE(path, '/', ''))), 0)
			FROM categories WHERE path >= ? AND path < ?`, oldPath+"/", oldPath+"0").Scan(&slashes); err != nil {
			return next, err
		}
		height = max(0, slashes-strings.Count(oldPath, "/"))
	}
	return next.Placed(parentPath, height)
}

func writeCategory(tx sqlstore.Tx, k product.Category) error {
	title, err := json.Marshal(k.Title)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO categories (id, parent_id, path, position, title) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, path = excluded.path,
		position = excluded.position, title = excluded.title`, k.ID, k.ParentID, k.Path, k.Position, string(title))
	return err
}

// moveBelow gives the categories below a moved one their new paths ("0" is the
// byte after "/", so the range is all that begins with the old path) and tells
// which shelves hold other products now: those above its old and new place.
func (c *Catalog) moveBelow(tx sqlstore.Tx, oldPath string, moved product.Category) error {
	if _, err := tx.Exec(`UPDATE categories SET path = ? || SUBSTR(path, ?) WHERE path >= ? AND path < ?`,
		moved.Path, len(oldPath)+1, oldPath+"/", oldPath+"0"); err != nil {
		return err
	}
	above := append(product.Ancestors(oldPath), product.Ancestors(moved.Path)...)
	above = slices.DeleteFunc(above, func(id string) bool { return id == moved.ID })
	slices.Sort(above)
	return c.shelves.Moved(tx, slices.Compact(above))
}
