// Package tables reads and writes the rows of any store without knowing what they mean, for those who carry a store from
// one place to another: moves and backups. What it needs to know of a table it asks the database.
//
// Tables whose names begin with souk_, and schema_migrations, are the store's own and are not listed.
package tables

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Kind is what a column holds; both databases have just these.
type Kind string

// The kinds of columns.
const (
	Integer Kind = "integer"
	Real    Kind = "real"
	Text    Kind = "text"
	Blob    Kind = "blob"
)

// Column is one column.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// Table is one table. Its key names each row: the primary key, or a unique index of columns that are never NULL.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	Key     []string `json:"key"`
}

// Row is one row, a value a column in the table's order: nil, int64, float64, string or []byte, as the column's kind says.
type Row []any

// Size is about how many bytes the row takes.
func (r Row) Size() int {
	size := 0
	for _, v := range r {
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		default:
			size += 8
		}
	}
	return size
}

// Engine is a database as its dialect goes.
type Engine string

// The engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgresql"
)

// EngineOf asks the database beneath a store what it is.
func EngineOf(ctx context.Context, store *sqlstore.Store) (engine Engine, err error) {
	err = store.View(ctx, func(tx sqlstore.Tx) error {
		engine, err = EngineIn(tx)
		return err
	})
	return engine, err
}

// EngineIn asks the database of a transaction. The first question is PostgreSQL's, because a question that fails ends a
// transaction there.
func EngineIn(tx sqlstore.Tx) (Engine, error) {
	var answer string
	if tx.QueryRow("SELECT CAST(current_schema() AS text)").Scan(&answer) == nil {
		return PostgreSQL, nil
	}
	if err := tx.QueryRow("SELECT sqlite_version()").Scan(&answer); err != nil {
		return "", fmt.Errorf("ask the database what it is: %w", err)
	}
	return SQLite, nil
}

// List lists the tables in the order of their names. It refuses one that cannot be carried: without a key, or with a
// column that the databases do not share.
func List(tx sqlstore.Tx, engine Engine) (list []Table, err error) {
	if engine == PostgreSQL {
		list, err = listPostgres(tx)
	} else {
		list, err = listSQLite(tx)
	}
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	for _, t := range list {
		if len(t.Key) == 0 {
			return nil, fmt.Errorf("list tables: %s has neither a primary key nor a unique index of columns that are NOT NULL: add one by a migration", t.Name)
		}
	}
	return list, nil
}

// Quote is a name as SQL has it.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = Quote(name)
	}
	return strings.Join(out, ", ")
}

func (t Table) names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// KeyColumns are the columns of the key, in its order.
func (t Table) KeyColumns() []Column {
	columns := make([]Column, len(t.Key))
	for i, name := range t.Key {
		columns[i] = t.Columns[slices.Index(t.names(), name)]
	}
	return columns
}

// KeyOf is the key of a row.
func (t Table) KeyOf(r Row) Row {
	key := make(Row, len(t.Key))
	for i, name := range t.Key {
		key[i] = r[slices.Index(t.names(), name)]
	}
	return key
}
