package sqlstore

import (
	"time"

	"github.com/seed-21071466/souk/kit/crashpoint"
)

// group is one commit and those who share it.
type group struct {
	w         *writer
	members   []*request
	begun     bool // BEGIN has been run
	dirty     bool // a member's writes are kept
	protected bool // a savepoint stands at the present state
	running   *request
	fatal     error // ended the outer transaction: every member fails
}

func (g *group) start(w *writer) {
	clear(g.members)
	*g = group{w: w, members: g.members[:0]}
}

// admit runs one member, and keeps or undoes what it wrote.
func (g *group) admit(r *request) {
	if !r.state.CompareAndSwap(queued, running) {
		return
	}
	g.w.metrics.waited(r.since)
	g.members = append(g.members, r)
	if g.fatal = g.begin(); g.fatal != nil {
		return
	}
	g.running = r
	r.call(g.w.log)
	g.running = nil
	g.settle(r)
}

func (g *group) settle(r *request) {
	r.tx.end()
	if g.fatal = r.tx.fatal; g.fatal != nil || !r.tx.wrote {
		return
	}
	if r.err != nil || r.panic != nil {
		g.fatal = g.undo()
		return
	}
	g.fatal = g.keep()
}

func (g *group) begin() error {
	if g.begun {
		return nil
	}
	g.begun = true
	return g.w.conn.run("BEGIN IMMEDIATE")
}

// protect comes before a member's writes. While nothing is kept yet, BEGIN itself is the savepoint.
func (g *group) protect() error {
	if !g.dirty || g.protected {
		return nil
	}
	g.protected = true
	return g.w.conn.run("SAVEPOINT member")
}

func (g *group) keep() error {
	g.dirty = true
	if !g.protected {
		return nil
	}
	g.protected = false
	return g.w.conn.run("RELEASE member")
}

// undo leaves the savepoint standing, at the state that the next member begins with.
func (g *group) undo() error {
	if g.protected {
		return g.w.conn.run("ROLLBACK TO member")
	}
	g.begun = false
	return g.w.conn.run("ROLLBACK")
}

// finish commits what is kept and answers every member: refusals too rest on what the others wrote.
func (g *group) finish() {
	if r := g.running; r != nil { // it ended the goroutine
		g.running = nil
		g.settle(r)
	}
	if g.fatal == nil && g.dirty {
		g.fatal = g.commit()
	}
	if g.begun && (g.fatal != nil || !g.dirty) {
		_ = g.w.conn.run("ROLLBACK") // fails when the error has rolled back already
	}
	g.w.metrics.grouped(g)
	for _, r := range g.members {
		g.answer(r)
	}
}

func (g *group) commit() error {
	crashpoint.Hit(g.w.metrics.commitBefore)
	began := time.Now()
	if err := g.w.conn.run("COMMIT"); err != nil {
		return err
	}
	g.w.metrics.committed(began)
	crashpoint.Hit(g.w.metrics.commitAfter)
	g.w.grew(g.w.conn.pagesWritten())
	return nil
}

// answer runs the hooks and lets the caller go.
func (g *group) answer(r *request) {
	if g.fatal != nil {
		r.err = unavailable(g.w.name, g.fatal)
	}
	if r.err == nil && r.panic == nil {
		r.afterCommit()
	}
	close(r.done)
}

// afterCommit passes a hook's panic on to the caller; the outcome is durable all the same.
func (r *request) afterCommit() {
	defer func() {
		if p := recover(); p != nil {
			r.panic = p
		}
	}()
	for _, hook := range r.tx.hooks {
		hook()
	}
}
