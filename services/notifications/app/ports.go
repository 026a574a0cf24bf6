package app

import (
	"context"
	"errors"
	"time"

	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// People is what notifications asks of users, the only room that keeps names and mail addresses.
type People interface {
	// Contact reads how to reach a subject now; ErrNobody when it was erased or never was.
	Contact(ctx context.Context, subject string) (Contact, error)
}

// ErrNobody says that there is no such subject, or not any more.
var ErrNobody = errors.New("there is no such subject")

// Contact is personal data: it is used and never kept.
type Contact struct{ Name, Email string }

// Envelope is a mail on its way.
type Envelope struct {
	Mail  notice.Mail
	Facts notice.Facts
	To    Contact
	At    time.Time // of sending
}

// Mailer brings mails away.
type Mailer interface {
	// Send sends them one after the other and tells of each how it ended, in the same order, without its address. It
	// ends within a bound of its own; what it did not come to is untried.
	Send(ctx context.Context, mails []Envelope) []notice.Outcome
	// Forget destroys what the mailer keeps of mails; of those that it does not know there is nothing.
	Forget(ids []string) error
}

// Hooks tells endpoints.
type Hooks interface {
	// Post tells an endpoint once. It ends within a bound of its own.
	Post(ctx context.Context, to endpoint.Endpoint, d endpoint.Delivery, at time.Time) endpoint.Answer
}
