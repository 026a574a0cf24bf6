package tables

import (
	"fmt"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Bounds of one statement: each table has one for so many rows and one for a single row, so that a connection need not
// keep many.
const (
	rowsAtOnce   = 32
	keysAtOnce   = 32
	valuesAtOnce = 2000 // a database takes 32,000 arguments at most
)

// Each reads all rows, in the order of the key.
func (t Table) Each(tx sqlstore.Tx, fn func(Row) error) error {
	rows, err := tx.Query("SELECT " + quoted(t.names()) + " FROM " + Quote(t.Name) + " ORDER BY " + quoted(t.Key))
	if err != nil {
		return t.failed("read", err)
	}
	return t.each(rows, fn)
}

func (t Table) each(rows *sqlstore.Rows, fn func(Row) error) error {
	defer rows.Close()
	for rows.Next() {
		row, err := scan(rows, t.Columns)
		if err != nil {
			return t.failed("read", err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return t.failed("read", err)
	}
	return nil
}

// Keys reads what a query gives as keys of this table: the columns of its key, in that order.
func (t Table) Keys(tx sqlstore.Tx, query string, args ...any) (keys []Row, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, t.failed("read keys of", err)
	}
	defer rows.Close()
	columns := t.KeyColumns()
	for rows.Next() {
		key, err := scan(rows, columns)
		if err != nil {
			return nil, t.failed("read keys of", err)
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

func scan(rows *sqlstore.Rows, columns []Column) (Row, error) {
	row, into := make(Row, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, c := range columns {
		value, ok := c.Kind.take(row[i])
		if !ok {
			return nil, fmt.Errorf("column %s of kind %s holds a %T", c.Name, c.Kind, row[i])
		}
		row[i] = value
	}
	return row, nil
}

// take makes a value what its column's kind says: SQLite keeps whatever it is given.
func (k Kind) take(v any) (any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case int64:
		if k == Real {
			return float64(v), true
		}
		return v, k == Integer
	case float64:
		return v, k == Real
	case string:
		if k == Blob {
			return []byte(v), true
		}
		return v, k == Text
	case []byte:
		if k == Text {
			return string(v), true
		}
		if v == nil {
			v = []byte{} // SQLite's driver gives an empty one so; a NULL is nil itself
		}
		return v, k == Blob
	}
	return nil, false
}

// Insert adds rows that are not there yet.
func (t Table) Insert(tx sqlstore.Tx, rows []Row) error {
	insert := "INSERT INTO " + Quote(t.Name) + " (" + quoted(t.names()) + ") VALUES "
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(t.Columns)), ", ") + ")"
	at := max(1, min(rowsAtOnce, valuesAtOnce/len(t.Columns)))
	return inChunks(rows, at, func(chunk []Row) error {
		values := strings.TrimSuffix(strings.Repeat(one+", ", len(chunk)), ", ")
		if _, err := tx.Exec(insert+values, flat(chunk)...); err != nil {
			return t.failed("insert into", err)
		}
		return nil
	})
}

// Delete removes the rows with these keys, as far as there are any.
func (t Table) Delete(tx sqlstore.Tx, keys []Row) error {
	return inChunks(keys, keysAtOnce, func(chunk []Row) error {
		if _, err := tx.Exec("DELETE FROM "+Quote(t.Name)+" WHERE "+t.anyOf(len(chunk)), flat(chunk)...); err != nil {
			return t.failed("delete from", err)
		}
		return nil
	})
}

// Find reads the rows with these keys, as far as there are any, in no order.
func (t Table) Find(tx sqlstore.Tx, keys []Row) (found []Row, err error) {
	find := "SELECT " + quoted(t.names()) + " FROM " + Quote(t.Name) + " WHERE "
	err = inChunks(keys, keysAtOnce, func(chunk []Row) error {
		rows, err := tx.Query(find+t.anyOf(len(chunk)), flat(chunk)...)
		if err != nil {
			return t.failed("read", err)
		}
		return t.each(rows, func(r Row) error { found = append(found, r); return nil })
	})
	return found, err
}

// Clear removes all rows.
func (t Table) Clear(tx sqlstore.Tx) error {
	if _, err := tx.Exec("DELETE FROM " + Quote(t.Name)); err != nil {
		return t.failed("clear", err)
	}
	return nil
}

// Empty reports whether there is no row.
func (t Table) Empty(tx sqlstore.Tx) (bool, error) {
	var n int
	if err := tx.QueryRow("SELECT COUNT(*) FROM (SELECT 1 AS one FROM " + Quote(t.Name) + " LIMIT 1) AS found").Scan(&n); err != nil {
		return false, t.failed("count", err)
	}
	return n == 0, nil
}

// Count is how many rows there are.
func (t Table) Count(tx sqlstore.Tx) (n int64, err error) {
	if err := tx.QueryRow("SELECT COUNT(*) FROM " + Quote(t.Name)).Scan(&n); err != nil {
		return 0, t.failed("count", err)
	}
	return n, nil
}

// anyOf is the condition that a row has one of n keys.
func (t Table) anyOf(n int) string {
	parts := make([]string, len(t.Key))
	for i, name := range t.Key {
		parts[i] = Quote(name) + " = ?"
	}
	one := "(" + strings.Join(parts, " AND ") + ")"
	return strings.TrimSuffix(strings.Repeat(one+" OR ", n), " OR ")
}

func (t Table) failed(what string, err error) error {
	return fmt.Errorf("%s table %s: %w", what, t.Name, err)
}

// inChunks hands out chunks of just n, and what is left one by one.
func inChunks(rows []Row, n int, fn func([]Row) error) error {
	for ; len(rows) >= n; rows = rows[n:] {
		if err := fn(rows[:n]); err != nil {
			return err
		}
	}
	for i := range rows {
		if err := fn(rows[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func flat(rows []Row) []any {
	var args []any
	for _, r := range rows {
		args = append(args, r...)
	}
	return args
}
