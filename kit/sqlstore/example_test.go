package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// A room opens its file, decides in an Update, and reads in a View.
func Example() {
	dir, _ := os.MkdirTemp("", "sqlstore")
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, filepath.Join(dir, "library.db"), sqlstore.Options{
		Name: "library",
		Schemas: []sqlstore.Schema{{Name: "library", Files: fstest.MapFS{
			"001_books.sql": {Data: []byte("CREATE TABLE books (title TEXT PRIMARY KEY, copies INTEGER NOT NULL)")},
		}}},
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	lend := func(tx sqlstore.Tx) error {
		left, err := tx.Exec("UPDATE books SET copies = copies - 1 WHERE title = ? AND copies > 0", "Emma")
		if err == nil && left == 0 {
			return errors.New("no copy left")
		}
		return err
	}
	_ = store.Update(ctx, func(tx sqlstore.Tx) error {
		_, err := tx.Exec("INSERT INTO books (title, copies) VALUES (?, ?)", "Emma", 1)
		return err
	})
	fmt.Println(store.Update(ctx, lend))
	fmt.Println(store.Update(ctx, lend))
	_ = store.View(ctx, func(tx sqlstore.Tx) error {
		var copies int
		defer func() { fmt.Println("copies:", copies) }()
		return tx.QueryRow("SELECT copies FROM books WHERE title = ?", "Emma").Scan(&copies)
	})
	// Output:
	// <nil>
	// no copy left
	// copies: 0
}
