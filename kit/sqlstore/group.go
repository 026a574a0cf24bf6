package sqlstore

import (
	"time"

	"github.com/seed-21071466/souk/kit/crashpoint"
)

// group is one commit and those who share it. Its members run one after the other straight in its transaction. Only
// when one fails after it wrote, and others' writes stand before its own, is the transaction rolled back: then all
// since the first writer run again, now with a savepoint before their writes, so that each outcome is decided on the
// state that commits.
type group struct {
	w         *writer
	members   []*request
	next      int // the first of members that has yet to run, or to run again
	writer    int // the first of members whose writes are kept
	began     time.Time
	waiting   bool // it has begun to wait for more members
	gathered  bool // it has waited for long enough
	begun     bool // BEGIN has been run
	dirty     bool // a member's writes are kept
	careful   bool // savepoints are set
	protected bool // a savepoint stands at the present state
	undid     bool // a member's writes were undone; the next group is careful from the start
	late      bool // they were undone when it was to commit
	running   *request
	news      int64 // of the last kept member that had any
	reruns    int   // of the whole group
	fatal     error // ended the outer transaction: every member fails
}

func (g *group) start(w *writer) {
	clear(g.members)
	*g = group{w: w, members: g.members[:0], began: time.Now(), careful: g.undid}
}

// admit makes a request a member, unless its caller has left.
func (g *group) admit(r *request) {
	if !r.state.CompareAndSwap(queued, running) {
		return
	}
	g.w.metrics.waited(r.since)
	g.members = append(g.members, r)
}

// full reports whether the group takes no more members.
func (g *group) full() bool {
	return g.fatal != nil || len(g.members) >= g.w.batchMax || time.Since(g.began) > batchTime
}

// run runs the members that have yet to run, and keeps or undoes what each wrote.
func (g *group) run() {
	for g.next < len(g.members) && g.fatal == nil {
		if g.flush(); g.fatal != nil {
			return
		}
		r := g.members[g.next]
		g.next++
		if g.fatal = g.begin(); g.fatal != nil {
			return
		}
		g.running = r
		r.call(g)
		g.settle()
	}
}

// flush waits for what the last member has left on its way, before the next one runs. When some of it fails all writers
// run again, with savepoints and waiting each for its own, so that it is known whose it was.
func (g *group) flush() {
	if err := g.w.conn.Flush(); err != nil {
		g.failedLate(err)
	}
}

// failedLate is after an error of a statement that nobody waited for.
func (g *group) failedLate(err error) {
	if g.careful || g.w.conn.Fate(err) != Aborted {
		g.fatal = err
		return
	}
	g.fatal = g.undo()
}

// settle ends the running member.
func (g *group) settle() {
	r := g.running
	g.running = nil
	r.tx.end()
	if g.careful || r.failed() {
		if err := g.w.conn.Flush(); err != nil && !r.failed() {
			_ = r.tx.note(err) // below it is seen what that means
		}
	}
	switch {
	case r.tx.fatal != nil:
		g.fatal = r.tx.fatal
	case r.tx.aborted != nil:
		r.failWith(r.tx.aborted)
		g.fatal = g.undo()
	case !r.tx.wrote:
	case r.failed():
		g.fatal = g.undo()
	default:
		g.fatal = g.keep()
	}
}

func (g *group) begin() error {
	if g.begun {
		return nil
	}
	g.begun = true
	alone, err := g.w.conn.Begin()
	if !alone {
		g.w.undone++ // others have written: what was learnt before need not hold
		g.w.others()
	}
	return err
}

// protect comes before a member's statements, for on some databases one that fails takes the transaction along. While
// nothing is kept yet, BEGIN itself is the savepoint.
func (g *group) protect() error {
	if !g.careful || !g.dirty || g.protected {
		return nil
	}
	g.protected = true
	return g.w.conn.Savepoint()
}

func (g *group) keep() error {
	if news := g.members[g.next-1].tx.news; news > 0 || g.news == 0 {
		g.news = news
	}
	if !g.dirty {
		g.dirty, g.writer = true, g.next-1
	}
	if !g.protected {
		return nil
	}
	g.protected = false
	return g.w.conn.Release()
}

// undo leaves a savepoint standing, at the state that the next member begins with. Without one it takes the others'
// writes along, and they run again.
func (g *group) undo() error {
	g.undid = true
	g.w.undone++
	if g.protected {
		return g.w.conn.RollbackTo()
	}
	if g.dirty {
		g.careful, g.dirty, g.next, g.news = true, false, g.writer, 0
	}
	g.begun = false
	return g.w.conn.Rollback()
}

// conclude commits what is kept. What the last member has left on its way goes along, and when it fails the writers run
// again.
func (g *group) conclude() {
	if g.fatal != nil || !g.dirty {
		return
	}
	if err := g.commit(); err != nil {
		g.failedLate(err)
		g.late = g.fatal == nil
	}
}

// Bounds of re-runs.
const (
	rerunsMax  = 8
	rerunPause = 2 * time.Millisecond // before the first, twice as long before the second, and so on
)

// again readies the whole group to run once more when the database has undone it for the sake of others, or the
// connection was lost before the commit.
func (g *group) again() bool {
	if g.late {
		g.late = false
		return true
	}
	if g.fatal == nil || g.reruns == rerunsMax || g.w.conn.Fate(g.fatal) != Again {
		return false
	}
	g.reruns++
	g.w.undone++
	g.w.metrics.reruns.Inc()
	_ = g.w.conn.Rollback() // a connection that is lost cannot, and need not
	g.begun, g.dirty, g.protected, g.next, g.news, g.fatal = false, false, false, 0, 0, nil
	time.Sleep(time.Duration(g.reruns) * rerunPause)
	return true
}

// finish answers every member: refusals too rest on what the others wrote.
func (g *group) finish() {
	if g.fatal != nil {
		g.w.undone++
	}
	if g.begun && (g.fatal != nil || !g.dirty) {
		_ = g.w.conn.Rollback() // fails when the error has rolled back already
	}
	g.w.metrics.grouped(g)
	for _, r := range g.members {
		g.answer(r)
	}
}

func (g *group) commit() error {
	crashpoint.Hit(g.w.metrics.commitBefore)
	began := time.Now()
	if err := g.w.conn.Commit(g.news); err != nil {
		return err
	}
	g.w.metrics.committed(began)
	crashpoint.Hit(g.w.metrics.commitAfter)
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
