package app

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/services/notifications/notice"
)

// Why a mail is skipped.
const (
	whyNobody    = "there is no such subject, or not any more"
	whyNoAddress = "the subject has no mail address"
)

// sendMails works off the mails that are due until ctx ends.
func (n *Notifications) sendMails(ctx context.Context) {
	for ctx.Err() == nil {
		done, err := n.mailRound(ctx)
		if err == nil && done == mailBatch {
			continue
		}
		var next time.Time
		if err == nil {
			err = n.glance(ctx, func(r rows) error {
				next, err = r.nextMail()
				return err
			})
		}
		if err != nil {
			next = n.failed(ctx, "mails could not be worked off", err)
		}
		n.sleep(ctx, n.mails, next)
	}
}

// mailRound sends one batch: each mail is sent or not before the one transaction that says so.
func (n *Notifications) mailRound(ctx context.Context) (done int, err error) {
	var due []notice.Mail
	err = n.glance(ctx, func(r rows) error {
		due, err = r.dueMails(n.now(), mailBatch)
		return err
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	after := n.handle(ctx, due)
	return len(due), n.mark(ctx, func(r rows) error {
		for i := range due {
			if err := r.updateMail(due[i], after[i]); err != nil {
				return err
			}
		}
		r.AfterCommit(func() { n.metrics.mailed(due, after) })
		return nil
	})
}

// handle gives the mails as they are afterwards; one that was not come to stays as it is.
func (n *Notifications) handle(ctx context.Context, due []notice.Mail) []notice.Mail {
	contacts := n.contacts(ctx, due)
	after := append([]notice.Mail(nil), due...)
	var envelopes []Envelope
	var places []int // of the envelopes' mails
	for i, m := range due {
		known := contacts[m.Subject]
		switch {
		case ctx.Err() != nil:
		case errors.Is(known.err, ErrNobody):
			after[i] = m.Skip(whyNobody)
		case known.err != nil:
			after[i] = m.Unasked("the users room did not say the address", n.now(), spread())
		case known.Email == "":
			after[i] = m.Skip(whyNoAddress)
		default:
			facts, err := m.Read()
			if err != nil {
				after[i] = m.Tried(notice.Outcome{Final: true, Why: "what the mail is about cannot be read"}, n.now(), 0)
				continue
			}
			envelopes, places = append(envelopes, Envelope{m, facts, known.Contact, n.now()}), append(places, i)
		}
	}
	n.send(ctx, envelopes, places, after)
	return after
}

// send sends what has an address.
func (n *Notifications) send(ctx context.Context, envelopes []Envelope, places []int, after []notice.Mail) {
	if len(envelopes) == 0 {
		return
	}
	missed, why := 0, ""
	for k, outcome := range n.Mailer.Send(ctx, envelopes) {
		if !outcome.Sent && ctx.Err() != nil {
			continue // the room closes: that is no failure
		}
		i := places[k]
		after[i] = after[i].Tried(outcome, n.now(), spread())
		if !outcome.Sent && !outcome.Untried {
			missed, why = missed+1, outcome.Why
		}
	}
	if missed > 0 {
		n.Log.WarnContext(ctx, "mails were not sent", "mails", missed, "why", why)
	}
}

// answer is what users said of a subject.
type answer struct {
	Contact
	err error
}

// contacts asks users for each subject once, several at a time.
func (n *Notifications) contacts(ctx context.Context, due []notice.Mail) map[string]*answer {
	all := make(map[string]*answer, len(due))
	var group errgroup.Group
	group.SetLimit(askAtOnce)
	for _, m := range due {
		if all[m.Subject] != nil {
			continue
		}
		into := new(answer)
		all[m.Subject] = into
		group.Go(func() error {
			asking, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			into.Contact, into.err = n.People.Contact(asking, m.Subject)
			return nil
		})
	}
	_ = group.Wait()
	n.complain(ctx, all)
	return all
}

// complain logs once a round that users did not answer.
func (n *Notifications) complain(ctx context.Context, all map[string]*answer) {
	silent, why := 0, error(nil)
	for _, a := range all {
		if a.err != nil && !errors.Is(a.err, ErrNobody) {
			silent, why = silent+1, a.err
		}
	}
	if silent > 0 && ctx.Err() == nil {
		n.Log.WarnContext(ctx, "mails wait for the users room", "subjects", silent, "err", why)
	}
}
