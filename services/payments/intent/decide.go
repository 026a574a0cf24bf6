package intent

import "time"

// Patience is how long an unfinished intent is left to the provider.
type Patience struct {
	Confirm time.Duration // that long an unconfirmed payment is confirmed again; then it is abandoned
	Pending time.Duration // that long a pending payment may stay so; then it is abandoned
}

// Confirming decides that the provider will be asked for the money now.
func (i Intent) Confirming(at time.Time) Intent {
	i.State, i.UpdatedAt = Confirming, at
	return i
}

// Cancel decides that the money is not wanted. It cannot lose: where there is
// nothing to call off the intent stays as it is.
func (i Intent) Cancel(cause Cause, at time.Time) Change {
	switch i.State {
	case Created, Confirming, Unknown, Authorized:
		i.State, i.Cause, i.UpdatedAt = Canceling, cause, at
		return Change{Intent: i, News: true}
	}
	return Change{Intent: i}
}

// NoAnswer is the fact that a confirming call gave no answer.
func (i Intent) NoAnswer(at time.Time) Change {
	if i.State != Confirming {
		return Change{Intent: i}
	}
	i.State, i.UpdatedAt = Unknown, at
	return Change{Intent: i, Event: PaymentUnknown, News: true}
}

// See is the fact that the provider's payment was seen to have come so far,
// and how much of it was captured. It is accepted in every state. That a
// payment holds nothing any more is news only once its captures are known.
func (i Intent) See(sight Sight, capturedMinor int64, reason string, at time.Time) Change {
	if sight <= i.Seen || sight == Gone && capturedMinor != i.CapturedMinor {
		return Change{Intent: i}
	}
	i.Seen, i.UpdatedAt = sight, at
	c := i.seen(sight, reason)
	c.News = true
	return c
}

// Capture is the fact that the provider took an amount. When it holds nothing
// of the payment any more, closed, the rest is let go; reason is the provider's,
// if it did so by itself.
func (i Intent) Capture(minor int64, closed bool, reason string, at time.Time) Change {
	i.CapturedMinor += minor
	i.UpdatedAt = at
	if !closed && i.CapturedMinor < i.Amount.Minor {
		return Change{Intent: i, News: true}
	}
	c := Change{News: true}
	if i.Held && i.CapturedMinor < i.Amount.Minor {
		c.Move = Release
	}
	if i.State == Canceling || reason != "" {
		i, c.Event = i.lapse(reason), PaymentVoided
	}
	i.State, i.Seen, i.Held = Captured, Gone, false
	c.Intent = i
	return c
}

// Refund is the fact that the provider gave an amount back.
func (i Intent) Refund(minor int64, at time.Time) Change {
	i.RefundedMinor += minor
	i.UpdatedAt = at
	return Change{Intent: i, News: true}
}

func (i Intent) seen(sight Sight, reason string) Change {
	switch sight {
	case Pending:
		return i.pending()
	case Refused:
		i.State, i.Reason = Declined, reason
		return Change{Intent: i, Event: PaymentDeclined}
	case Held:
		return i.held()
	case Gone:
		return i.gone(reason)
	}
	return Change{Intent: i}
}

func (i Intent) pending() Change {
	if i.State != Confirming && i.State != Created {
		return Change{Intent: i}
	}
	i.State = Unknown
	return Change{Intent: i, Event: PaymentUnknown}
}

// held takes the money in, and calls for its return where it comes too late.
func (i Intent) held() Change {
	i.Held = true
	switch i.State {
	case Created, Confirming, Unknown:
		i.State = Authorized
		return Change{Intent: i, Event: PaymentAuthorized, Move: Hold}
	case Declined:
		i.Cause = Overtaken
	}
	i.State = Canceling
	return Change{Intent: i, Move: Hold}
}

// gone closes the intent. The provider may also have ended it by itself, as
// when an authorization lapses.
func (i Intent) gone(reason string) Change {
	c := Change{Event: PaymentVoided}
	if i.Held {
		i.Held, c.Move = false, Release
	}
	switch {
	case i.State == Declined:
		c.Event = ""
	case i.CapturedMinor > 0:
		i = i.lapse(reason)
		i.State = Captured
	case i.Cause == Abandoned:
		i.State, i.Reason, c.Event = Failed, ReasonNoAnswer, PaymentFailed
	case i.Cause == "" && i.State != Authorized:
		i.State, i.Reason, c.Event = Failed, reason, PaymentFailed
	default:
		i = i.lapse(reason)
		i.State = Voided
	}
	c.Intent = i
	return c
}

// lapse notes that the provider ended it, unless somebody here asked for it.
func (i Intent) lapse(reason string) Intent {
	if i.Cause == "" {
		i.Cause, i.Reason = Lapsed, reason
	}
	return i
}

// Next is what this intent asks to be done, from its state alone.
func (i Intent) Next() Command {
	switch i.State {
	case Confirming, Unknown:
		return Read
	case Canceling:
		return Void
	}
	return Rest
}

// AfterReading is what to do when a reading brought no decision.
func (i Intent) AfterReading(sight Sight, now time.Time, p Patience) Command {
	if i.State != Confirming && i.State != Unknown {
		return i.Next()
	}
	age := now.Sub(i.CreatedAt)
	switch {
	case sight == Unconfirmed && age < p.Confirm:
		return Confirm
	case sight == Unconfirmed, age >= p.Pending:
		return Abandon
	}
	return Rest
}
