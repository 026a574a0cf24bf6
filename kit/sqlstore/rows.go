package sqlstore

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// Rows is a result being read: Next until it says false, then Err.
type Rows struct {
	from   driver.Rows
	values []driver.Value
	ask    func() error      // asked now and then whether to go on; nil: no need
	note   func(error) error // hears of an error; nil: nobody
	done   func()            // gives the statement back
	read   int
	err    error
	closed bool
}

// askEvery bounds how many rows are read on behalf of a caller who may have left.
const askEvery = 256

// errClosedRows answers a Scan when there is no row.
var errClosedRows = errors.New("scan row: the rows are closed")

// NewRows makes Rows of a driver's own; done is called once, when they are closed.
func NewRows(from driver.Rows, done func()) *Rows {
	return &Rows{from: from, values: make([]driver.Value, len(from.Columns())), done: done}
}

// Next moves to the next row and reports whether there is one. At the end it closes the rows.
func (r *Rows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	r.read++
	if r.ask != nil && r.read%askEvery == 0 {
		r.err = r.ask()
	}
	if r.err == nil {
		r.err = r.from.Next(r.values)
	}
	if r.err == nil {
		return true
	}
	if errors.Is(r.err, io.EOF) {
		r.err = nil
	} else if r.note != nil {
		r.err = r.note(r.err)
	}
	_ = r.Close()
	return false
}

// Scan copies the columns of the row that Next moved to to where dest points. NULL fits a pointer to a pointer, *[]byte, *any and sql.Scanner.
func (r *Rows) Scan(dest ...any) error {
	if r.closed {
		return errClosedRows
	}
	if len(dest) != len(r.values) {
		return fmt.Errorf("scan row: %d columns into %d variables", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return fmt.Errorf("scan column %s: %w", r.from.Columns()[i], err)
		}
	}
	return nil
}

// Err is the error that ended the reading, nil if the rows simply ended.
func (r *Rows) Err() error { return r.err }

// Close ends the reading; more than once is fine.
func (r *Rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	clear(r.values)
	err := r.from.Close()
	if r.done != nil {
		r.done()
	}
	return err
}

// Row is the answer of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// NewRow makes a Row of what a Query returned.
func NewRow(rows *Rows, err error) Row { return Row{rows, err} }

// Scan copies the first row's columns to where dest points; ErrNoRows when there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	return r.rows.Scan(dest...)
}
