package tables

import (
	"fmt"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// listSQLite asks SQLite's own tables and pragmas.
func listSQLite(tx sqlstore.Tx) ([]Table, error) {
	names, err := texts(tx, `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	var list []Table
	for _, name := range names {
		if own(name) || strings.HasPrefix(name, "sqlite_") {
			continue
		}
		t, err := tableSQLite(tx, name)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
		list = append(list, t)
	}
	return list, nil
}

// own are tables of the store itself.
func own(name string) bool { return name == "schema_migrations" || strings.HasPrefix(name, "souk_") }

func tableSQLite(tx sqlstore.Tx, name string) (t Table, err error) {
	t.Name = name
	rows, err := tx.Query(`SELECT name, type, "notnull" FROM pragma_table_info(?) ORDER BY cid`, name)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	filled := map[string]bool{}
	for rows.Next() {
		var column, declared string
		var notNull bool
		if err := rows.Scan(&column, &declared, &notNull); err != nil {
			return t, err
		}
		kind, err := kindOf(declared)
		if err != nil {
			return t, fmt.Errorf("column %s: %w", column, err)
		}
		t.Columns, filled[column] = append(t.Columns, Column{column, kind}), notNull
	}
	if err := rows.Err(); err != nil {
		return t, err
	}
	t.Key, err = texts(tx, `SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`, name)
	if err == nil && len(t.Key) == 0 {
		t.Key, err = uniqueSQLite(tx, name, filled)
	}
	return t, err
}

// uniqueSQLite is the first unique index that can stand for a key, by name.
func uniqueSQLite(tx sqlstore.Tx, table string, filled map[string]bool) ([]string, error) {
	indexes, err := texts(tx, `SELECT name FROM pragma_index_list(?) WHERE "unique" = 1 AND partial = 0 ORDER BY name`, table)
	if err != nil {
		return nil, err
	}
	for _, index := range indexes {
		columns, err := texts(tx, `SELECT coalesce(name, '') FROM pragma_index_info(?) ORDER BY seqno`, index) // '' for an expression
		if err != nil {
			return nil, err
		}
		if all(columns, filled) {
			return columns, nil
		}
	}
	return nil, nil
}

func all(columns []string, filled map[string]bool) bool {
	for _, c := range columns {
		if !filled[c] {
			return false
		}
	}
	return true
}

// kindOf reads a declared type as SQLite does, as far as PostgreSQL has the like.
func kindOf(declared string) (Kind, error) {
	declared = strings.ToUpper(declared)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(declared, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return Integer, nil
	case has("CHAR", "CLOB", "TEXT"):
		return Text, nil
	case has("BLOB", "BYTEA"):
		return Blob, nil
	case has("REAL", "FLOA", "DOUB"):
		return Real, nil
	}
	return "", fmt.Errorf("its type %q is none of INTEGER, REAL, TEXT and BLOB", declared)
}

const (
	columnsPostgres = `SELECT CAST(c.relname AS text), CAST(a.attname AS text), format_type(a.atttypid, NULL)
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = current_schema() AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
	ORDER BY c.relname, a.attnum`

	// Primary keys first, then unique indexes by name; an index with a column that may be NULL says so.
	keysPostgres = `SELECT CAST(t.relname AS text), CAST(x.relname AS text), CAST(a.attname AS text), CASE WHEN a.attnotnull THEN 1 ELSE 0 END
	FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace
	CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
	WHERE n.nspname = current_schema() AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
	ORDER BY t.relname, i.indisprimary DESC, x.relname, k.place`
)

func listPostgres(tx sqlstore.Tx) ([]Table, error) {
	keys, err := keys(tx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(columnsPostgres)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Table
	for rows.Next() {
		var table, column, declared string
		if err := rows.Scan(&table, &column, &declared); err != nil {
			return nil, err
		}
		if own(table) {
			continue
		}
		kind, err := kindOf(declared)
		if err != nil {
			return nil, fmt.Errorf("table %s: column %s: %w", table, column, err)
		}
		if len(list) == 0 || list[len(list)-1].Name != table {
			list = append(list, Table{Name: table, Key: keys[table]})
		}
		t := &list[len(list)-1]
		t.Columns = append(t.Columns, Column{column, kind})
	}
	return list, rows.Err()
}

// keys are the keys of all tables of the schema.
func keys(tx sqlstore.Tx) (map[string][]string, error) {
	rows, err := tx.Query(keysPostgres)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found, refused, chosen := map[string][]string{}, map[string]bool{}, map[string]string{}
	for rows.Next() {
		var table, index, column string
		var filled bool
		if err := rows.Scan(&table, &index, &column, &filled); err != nil {
			return nil, err
		}
		if chosen[table] == "" || chosen[table] != index && refused[table] {
			chosen[table], refused[table], found[table] = index, false, nil
		}
		if chosen[table] == index {
			found[table], refused[table] = append(found[table], column), refused[table] || !filled
		}
	}
	for table := range refused {
		if refused[table] {
			delete(found, table)
		}
	}
	return found, rows.Err()
}

func texts(tx sqlstore.Tx, query string, args ...any) (list []string, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}
