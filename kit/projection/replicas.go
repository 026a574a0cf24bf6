package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Where several processes share a store, one of them projects: it holds the projection's lease. That only spares the
// others the work; the checkpoint alone decides whose batch counts. The others read the checkpoint now and then, and
// often while somebody waits, so that a position may be asked of any process. Rows are made anew for another version
// only by the one that projects: a process of the version before may still be at it.

const (
	glanceIdle = time.Second           // between two looks at the checkpoint
	glanceBusy = 20 * time.Millisecond // while somebody waits for a position
)

// shared says that other processes may project too.
func (p *Projector) shared() bool { return p.options.Leases.Shared() }

// open finds where the projection stands. In a store of our own, another version than that of the rows begins at once.
func (p *Projector) open(ctx context.Context) error {
	if p.shared() {
		return p.glance(ctx)
	}
	return p.resume(ctx)
}

// live projects while that is this process's to do, and keeps an eye on the checkpoint meanwhile.
func (p *Projector) live(ctx context.Context) error {
	if !p.shared() {
		return p.project(ctx)
	}
	aside := make(chan struct{})
	go func() { defer close(aside); p.standBy(ctx) }()
	err := p.options.Leases.Hold(ctx, "projection."+p.projection.Name, func(ctx context.Context, _ int64) error {
		p.leading.Store(true)
		defer p.leading.Store(false)
		p.begun(ctx)
		return p.project(ctx)
	})
	<-aside
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// begun reads the checkpoint, or makes the rows anew for this version; it tries until it could.
func (p *Projector) begun(ctx context.Context) {
	for pause := pauseMin; ctx.Err() == nil; pause = min(2*pause, pauseMax) {
		err := p.resume(ctx)
		if err == nil {
			return
		}
		p.options.Log.ErrorContext(ctx, "projection cannot begin", "projection", p.projection.Name, "err", err)
		p.rest(ctx, pause)
	}
}

// standBy keeps the mark of a process that does not project.
func (p *Projector) standBy(ctx context.Context) {
	timer := p.options.Clock.NewTimer(glanceIdle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.look:
		case <-timer.C():
		}
		if !p.leading.Load() {
			if err := p.glance(ctx); err != nil && ctx.Err() == nil {
				p.options.Log.WarnContext(ctx, "projection cannot see how far it has come", "projection", p.projection.Name, "err", err)
			}
		}
		wait := glanceIdle
		if p.waiting.Load() > 0 {
			wait = glanceBusy
		}
		timer.Reset(wait)
	}
}

// glanceNow has the checkpoint looked at now, for somebody who has begun to wait.
func (p *Projector) glanceNow() {
	if !p.shared() {
		return
	}
	select {
	case p.look <- struct{}{}:
	default: // it is about to look
	}
}

// glance moves the mark to the checkpoint. Rows of another version show nothing of ours.
func (p *Projector) glance(ctx context.Context) error {
	var version int
	var position int64
	err := p.store.Glance(ctx, func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT version, position FROM projection_checkpoint WHERE name = ?`, p.projection.Name).Scan(&version, &position)
	})
	switch {
	case errors.Is(err, sqlstore.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("read the checkpoint of %s: %w", p.projection.Name, err)
	}
	if version == p.projection.Version && !p.leading.Load() && position > p.mark.Position() {
		p.mark.Set(position)
	}
	return nil
}
