package app

import (
	"errors"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// rows is one transaction on the rows of one shop.
type rows struct {
	sqlstore.Tx
	shop string
}

// rowsMax bounds the rows of one statement; longer lists take several.
const rowsMax = 64

// insertRows writes rows of the given width, at most rowsMax in a statement; one that is there already stays as it is.
func (r rows) insertRows(insert string, width int, values []any) error {
	row := "(" + tuples(width, "?") + ")"
	for len(values) > 0 {
		n := min(rowsMax, len(values)/width)
		if err := r.Do(insert+tuples(n, row)+` ON CONFLICT (shop, id) DO NOTHING`, values[:n*width]...); err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}

// each reads a row at a time.
func (r rows) each(scan func(*sqlstore.Rows) error, query string, args ...any) error {
	found, err := r.Query(query, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		if err := scan(found); err != nil {
			return err
		}
	}
	return found.Err()
}

// ids reads a column of ids.
func (r rows) ids(query string, args ...any) (ids []string, err error) {
	err = r.each(func(row *sqlstore.Rows) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

// tuples is n times what, with commas between.
func tuples(n int, what string) string {
	return strings.Repeat(what+",", n-1) + what
}

// orNone takes a missing row for nothing.
func orNone(err error) error {
	if errors.Is(err, sqlstore.ErrNoRows) {
		return nil
	}
	return err
}

// micros is a time as rows keep it, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOf reads what micros wrote.
func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
