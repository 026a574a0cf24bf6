package pgstore

import "github.com/jackc/pgx/v5/pgconn"

// queueMax bounds the statements that are sent together: their answers must fit between us and the server while we do
// not read them.
const queueMax = 64

// queue is the statements of an update that nobody waits for. They lie in the connection's buffer until the next one that
// somebody does wait for, and share its round trip.
type queue struct {
	pipeline *pgconn.Pipeline // nil when nothing is queued
	length   int
}

// Do queues the statement.
func (st *stmt) Do(args []any) (idle bool, err error) {
	s := st.s
	if s.queue.length >= queueMax {
		if err := s.Flush(); err != nil {
			return false, err
		}
	}
	if err := s.settle(); err != nil {
		return false, err
	}
	if err := st.prepare(s.base); err != nil {
		return false, err
	}
	if err := st.bind(args); err != nil {
		return false, err
	}
	if s.queue.pipeline == nil {
		s.queue.pipeline = s.raw.StartPipeline(s.base)
	}
	s.queue.pipeline.SendQueryStatement(st.known, st.values, st.types, st.formats)
	s.queue.length++
	return false, nil
}

// Flush sends what is queued and waits for the answers.
func (s *session) Flush() error {
	if s.queue.pipeline == nil {
		return nil
	}
	if err := s.settle(); err != nil {
		s.queue = queue{}
		return err
	}
	p, queued := s.pipeline()
	err := p.Sync()
	if err == nil {
		_, err = tags(p, queued)
	}
	if closed := p.Close(); err == nil {
		err = closed
	}
	return s.failed(err)
}

// pipeline is the connection's, with what is queued in it, to be synced and closed.
func (s *session) pipeline() (p *pgconn.Pipeline, queued int) {
	p, queued = s.queue.pipeline, s.queue.length
	s.queue = queue{}
	if p == nil {
		p = s.raw.StartPipeline(s.base)
	}
	return p, queued
}

// tags reads the next answers, to the first that is a refusal.
func tags(p *pgconn.Pipeline, n int) (read []pgconn.CommandTag, err error) {
	for range n {
		tag, err := nextTag(p)
		if err != nil {
			return read, err
		}
		read = append(read, tag)
	}
	return read, nil
}

// after sends a statement together with what is queued, and leaves its answer to be read.
func (r *rows) after(st *stmt) error {
	p, queued := r.s.pipeline()
	p.SendQueryStatement(st.known, st.values, st.types, st.formats)
	err := p.Sync()
	if err == nil {
		_, err = tags(p, queued)
	}
	return r.take(p, err)
}
