package pgstore

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
)

// rows is a result as it comes in. A connection answers one statement at a time, so the next one first puts the rest of
// this one aside.
type rows struct {
	s        *session
	ctx      context.Context
	fields   []pgconn.FieldDescription
	formats  []int16
	from     *pgconn.ResultReader
	pipeline *pgconn.Pipeline // that it is part of; nil for most
	aside    [][][]byte       // rows that have come and were not asked for yet
	tag      pgconn.CommandTag
	done     bool  // all has come in
	err      error // with which it ended
}

// begin sends a view's BEGIN and its first statement at once.
func (r *rows) begin(st *stmt) error {
	p := r.s.raw.StartPipeline(r.ctx)
	call{name: "view"}.send(p)
	p.SendQueryStatement(st.known, st.values, st.types, st.formats)
	err := p.Sync()
	if err == nil {
		_, err = nextTag(p)
	}
	if err == nil {
		r.s.pending = false // it has begun, whatever becomes of the statement
	}
	return r.take(p, err)
}

// take has the next answer of a pipeline read as this result, unless what came before it has failed.
func (r *rows) take(p *pgconn.Pipeline, err error) error {
	var results any
	if err == nil {
		results, err = p.GetResults()
	}
	if err != nil {
		_ = p.Close() // says no more than err
		return r.s.failed(err)
	}
	from, ok := results.(*pgconn.ResultReader)
	if !ok {
		_ = p.Close()
		return r.s.failed(fmt.Errorf("the server answered out of turn: %T", results))
	}
	r.from, r.pipeline, r.s.reading = from, p, r
	return nil
}

// Columns are the names of the columns.
func (r *rows) Columns() []string {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.Name
	}
	return names
}

// Next decodes the next row.
func (r *rows) Next(dest []driver.Value) error {
	row, err := r.next()
	if err != nil {
		return err
	}
	for i, column := range row {
		if dest[i], err = decode(column, r.fields[i].DataTypeOID); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) next() ([][]byte, error) {
	if len(r.aside) > 0 {
		row := r.aside[0]
		r.aside = r.aside[1:]
		return row, nil
	}
	if !r.done && r.from.NextRow() {
		return r.from.Values(), nil
	}
	r.finish()
	if r.err != nil {
		return nil, r.err
	}
	return nil, io.EOF
}

// putAside reads the rest, for the connection is needed for something else.
func (r *rows) putAside() {
	for !r.done && r.from.NextRow() {
		row := make([][]byte, len(r.fields))
		for i, column := range r.from.Values() {
			row[i] = bytes.Clone(column)
		}
		r.aside = append(r.aside, row)
	}
	r.finish()
}

func (r *rows) finish() {
	if r.done {
		return
	}
	r.done = true
	r.tag, r.err = r.from.Close()
	if r.pipeline != nil {
		if err := r.pipeline.Close(); r.err == nil {
			r.err = err
		}
	}
	if r.s.reading == r {
		r.s.reading = nil
	}
	r.err = r.s.failed(r.err)
	if r.err != nil && r.ctx.Err() != nil {
		r.err = r.ctx.Err()
	}
}

// Close reads what is left, so that the connection is free.
func (r *rows) Close() error {
	r.aside = nil
	r.finish()
	return r.err
}
