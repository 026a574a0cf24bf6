package eventlog

import (
	"errors"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// streamsMax bounds the streams whose ends are remembered; one more and another is forgotten.
const streamsMax = 4096

const (
	selectLast = `SELECT coalesce(max(position), 0) FROM events`
	selectEnd  = `SELECT position, version FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1`
)

// end is where the last event of a stream stands; zero for a stream that does not exist.
type end struct {
	position int64
	version  int64
}

// ends remembers the ends of the log and of streams as the running update sees them, for as long as the store undoes
// nothing. Where the store cannot say, nothing is remembered.
type ends struct {
	known   bool
	undone  uint64 // sqlstore.Undone when the rest was learnt
	last    int64
	streams map[string]end
}

// read is the log's last position and the stream's end.
func (e *ends) read(tx sqlstore.Tx, stream string) (last int64, at end, err error) {
	if last, err = e.readLast(tx); err != nil {
		return 0, end{}, err
	}
	if at, found := e.streams[stream]; found {
		return last, at, nil
	}
	err = tx.QueryRow(selectEnd, stream).Scan(&at.position, &at.version)
	if errors.Is(err, sqlstore.ErrNoRows) {
		err = nil
	}
	return last, at, err
}

func (e *ends) readLast(tx sqlstore.Tx) (last int64, err error) {
	undone, ok := sqlstore.Undone(tx)
	if ok && e.known && undone == e.undone {
		return e.last, nil
	}
	e.forget()
	err = tx.QueryRow(selectLast).Scan(&last)
	if err == nil && ok {
		e.known, e.undone, e.last = true, undone, last
	}
	return last, err
}

// keep remembers what an append has made of the stream's end, which is now the log's.
func (e *ends) keep(stream string, at end) {
	if !e.known {
		return
	}
	if e.streams == nil {
		e.streams = make(map[string]end)
	}
	for other := range e.streams {
		if len(e.streams) < streamsMax {
			break
		}
		delete(e.streams, other) // any will do: streams in use soon come back
	}
	e.last, e.streams[stream] = at.position, at
}

func (e *ends) forget() {
	if e.known {
		e.known = false
		clear(e.streams)
	}
}
