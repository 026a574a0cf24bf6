package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

const (
	// LettersPage is the most letters that one List returns.
	LettersPage = 200
	// reasonMax bounds the bytes that are kept of a failure or of an operator's reason.
	reasonMax = 1000
)

// Letter is an event that a consumer could not handle, or one that waits
// behind such an event of its key.
type Letter struct {
	ID       string    `json:"id"` // "<consumer>:<position>"
	Consumer string    `json:"consumer"`
	Source   string    `json:"source"`
	Position int64     `json:"position"`
	Type     string    `json:"type"`
	Subject  string    `json:"subject"`
	Time     time.Time `json:"time"`     // of the event
	Since    time.Time `json:"since"`    // when it became a letter
	Attempts int       `json:"attempts"` // 0: it only waits behind another
	Reason   string    `json:"reason"`   // the last failure
}

// By says who acts on letters and why; it is kept with the act.
type By struct {
	Actor  string // "staff:key"
	Reason string
}

// Redriven is what a redrive came to.
type Redriven struct {
	Handled int    `json:"handled"` // letters whose effect is now done
	Left    int    `json:"left"`    // letters of the asked keys that remain
	Failed  string `json:"failed"`  // the letter that failed again, "" if none
	Reason  string `json:"reason"`  // why it failed
}

// Act is something that an operator did to a letter.
type Act struct {
	Letter string // its ID
	Action string // "redrive" | "skip"
	Actor  string
	Reason string
	Time   time.Time
}

// List is the letters of a consumer after a position, oldest first, at most
// limit of them and never more than LettersPage. An empty name lists the
// letters of all consumers, the page of each after that position.
func (b *Bus) List(ctx context.Context, consumer string, after int64, limit int) ([]Letter, error) {
	followers := b.consumers()
	if consumer != "" {
		f := b.find(consumer)
		if f == nil {
			return nil, unknownConsumer(consumer)
		}
		followers = []*follower{f}
	}
	letters := []Letter{}
	for _, f := range followers {
		page, err := f.keeper.Letters(ctx, after, pageOf(limit))
		if err != nil {
			return nil, fmt.Errorf("list the letters of %s: %w", f.Name, err)
		}
		letters = append(letters, page...)
	}
	return letters, nil
}

func pageOf(limit int) int {
	if limit <= 0 {
		return LettersPage
	}
	return min(limit, LettersPage)
}

// Redrive handles letters again, in the order of each key: those of one key if
// id names a letter, all of a consumer if it names that. A letter that fails
// again stays, and so do those behind it.
func (b *Bus) Redrive(ctx context.Context, id string, by By) (Redriven, error) {
	f, position, err := b.letterOf(id)
	if err != nil {
		return Redriven{}, err
	}
	if by.Actor == "" {
		return Redriven{}, problem.Field("actor", "required", "say who redrives")
	}
	if position == 0 {
		return f.redriveAll(ctx, by)
	}
	subject, err := f.subjectOf(ctx, position)
	if err != nil {
		return Redriven{}, err
	}
	return f.redrive(ctx, subject, by)
}

// Skip drops one letter for good; its effect never happens. It needs a reason.
func (b *Bus) Skip(ctx context.Context, id string, by By) error {
	f, position, err := b.letterOf(id)
	switch {
	case err != nil:
		return err
	case position == 0:
		return problem.Field("id", "invalid", "name one letter, <consumer>:<position>")
	case by.Actor == "":
		return problem.Field("actor", "required", "say who skips")
	case by.Reason == "":
		return problem.Field("reason", "required", "say why this event is never to have its effect")
	}
	return f.skip(ctx, position, by)
}

// Acts is what was done to the letters of a consumer, the newest first, at most LettersPage.
func (b *Bus) Acts(ctx context.Context, consumer string) ([]Act, error) {
	f := b.find(consumer)
	if f == nil {
		return nil, unknownConsumer(consumer)
	}
	return f.keeper.Acts(ctx, LettersPage)
}

// letterOf reads "<consumer>:<position>", or "<consumer>" with position 0.
func (b *Bus) letterOf(id string) (*follower, int64, error) {
	if f := b.find(id); f != nil {
		return f, 0, nil
	}
	if i := strings.LastIndexByte(id, ':'); i > 0 {
		position, err := strconv.ParseInt(id[i+1:], 10, 64)
		if f := b.find(id[:i]); f != nil && err == nil && position > 0 {
			return f, position, nil
		}
	}
	return nil, 0, unknownLetter(id)
}

// subjectOf is the key of a letter.
func (f *follower) subjectOf(ctx context.Context, position int64) (subject string, err error) {
	letters, err := f.keeper.Letters(ctx, position-1, 1)
	if err != nil {
		return "", fmt.Errorf("read letter %d of %s: %w", position, f.Name, err)
	}
	if len(letters) == 0 || letters[0].Position != position {
		return "", unknownLetter(letterID(f.Name, position))
	}
	return letters[0].Subject, nil
}

// redriveAll goes through the keys; one that fails keeps its letters and the
// others go on. The first failure is the one reported.
func (f *follower) redriveAll(ctx context.Context, by By) (total Redriven, err error) {
	if err := f.fresh(ctx); err != nil {
		return total, err
	}
	f.mu.Lock()
	subjects := make([]string, 0, len(f.parked))
	for subject := range f.parked {
		subjects = append(subjects, subject)
	}
	f.mu.Unlock()
	for _, subject := range subjects {
		one, err := f.redrive(ctx, subject, by)
		if err != nil {
			return total, err
		}
		total.Handled += one.Handled
		total.Left += one.Left
		if total.Failed == "" {
			total.Failed, total.Reason = one.Failed, one.Reason
		}
	}
	return total, nil
}

// redrive handles the letters of a key from the front until one fails.
func (f *follower) redrive(ctx context.Context, subject string, by By) (done Redriven, err error) {
	for {
		f.mu.Lock()
		letter, err := f.redriveFirst(ctx, subject, by)
		done.Left = f.parked[subject]
		f.mu.Unlock()
		var failed *failure
		switch {
		case errors.As(err, &failed):
			done.Failed, done.Reason = letter, clip(failed.Error())
			return done, nil
		case err != nil:
			return done, fmt.Errorf("redrive %s of %s: %w", subject, f.Name, err)
		case letter == "":
			done.Left = 0 // so says the store; what this process remembers may be of a moment ago
			return done, nil
		}
		done.Handled++
	}
}

// redriveFirst handles the oldest letter of a key: effect, act and the end of
// the letter in one transaction. It names the letter, "" if there is none.
func (f *follower) redriveFirst(ctx context.Context, subject string, by By) (id string, err error) {
	event, err := f.keeper.First(ctx, subject)
	switch {
	case errors.Is(err, ErrNoLetter):
		return "", nil
	case err != nil:
		return "", err
	}
	ending := f.ending(event.Position, "redrive", by)
	if f.hears(event.Type) {
		ending.Handle = &event
	}
	id = letterID(f.Name, event.Position)
	err = f.trust(f.keeper.End(ctx, ending))
	var failed *failure
	switch {
	case errors.As(err, &failed):
		return id, errors.Join(failed, f.trust(f.keeper.Failed(ctx, event.Position, clip(failed.Error()))))
	case err != nil:
		return id, err
	}
	f.handled.Add(1)
	f.ended(subject)
	return id, nil
}

func (f *follower) skip(ctx context.Context, position int64, by By) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	subject, err := f.subjectOf(ctx, position)
	if err != nil {
		return err
	}
	err = f.trust(f.keeper.End(ctx, f.ending(position, "skip", by)))
	switch {
	case errors.Is(err, ErrNoLetter):
		return unknownLetter(letterID(f.Name, position))
	case err != nil:
		return fmt.Errorf("skip letter %d of %s: %w", position, f.Name, err)
	}
	f.ended(subject)
	f.options.Log.WarnContext(ctx, "a letter was skipped", "letter", letterID(f.Name, position), "actor", by.Actor)
	return nil
}

// ended counts a letter that is gone. Ending it has raised the epoch where
// others may deliver: who does reads its inbox again.
func (f *follower) ended(subject string) {
	f.letter(subject, -1)
	f.stale = f.stale || f.shared()
}

// ending is the end of a letter, and who ends it.
func (f *follower) ending(position int64, action string, by By) Ending {
	return Ending{Position: position, Act: Act{
		Letter: letterID(f.Name, position), Action: action, Actor: clip(by.Actor), Reason: clip(by.Reason), Time: f.options.Clock.Now(),
	}}
}

func letterID(consumer string, position int64) string {
	return consumer + ":" + strconv.FormatInt(position, 10)
}

func unknownLetter(id string) error {
	return problem.Newf(problem.NotFound, "unknown_letter", "there is no letter %q", clip(id))
}

// clip bounds a text that is stored, at a whole character.
func clip(text string) string {
	if len(text) <= reasonMax {
		return text
	}
	return strings.ToValidUTF8(text[:reasonMax], "")
}
