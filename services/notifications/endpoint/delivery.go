package endpoint

import (
	"strconv"
	"time"

	"github.com/seed-21071466/souk/services/notifications/notice"
)

// The beginnings of the ids of deliveries, and of what they tell.
const (
	DeliveryPrefix = "whd"
	MessagePrefix  = "msg"
)

// State is how far a delivery has come.
type State string

// The states of a delivery, which are the contract's words.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Failed    State = "failed"
)

// Known says that it is one of them.
func (s State) Known() bool { return s == Pending || s == Delivered || s == Failed }

// RetryFirst is the pause after the first missed attempt, where the shop has not chosen another.
const RetryFirst = 5 * time.Second

// waits are the pauses after each missed attempt, in multiples of the first; with RetryFirst they are 5 s, 5 min, 30 min,
// 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, as the Standard Webhooks specification suggests.
var waits = [...]time.Duration{1, 60, 360, 1_440, 3_600, 7_200, 10_080, 14_400, 17_280}

// AttemptsMax is how often an endpoint is told before the delivery has failed.
const AttemptsMax = len(waits) + 1

// Delivery is one event told to one endpoint.
type Delivery struct {
	ID          string // "whd_…"
	Endpoint    string
	Message     string // "msg_…", the same for every endpoint and at each attempt
	Event       notice.Event
	Order       string
	Body        []byte
	State       State
	Attempts    int
	LastStatus  int
	LastError   string
	CreatedAt   time.Time
	DueAt       time.Time // when it is tried next; zero when it is not pending
	DeliveredAt time.Time
}

// Tell makes the delivery of news to an endpoint; its ids are those of the event.
func Tell(to Endpoint, n notice.News, body []byte, now time.Time) Delivery {
	return Delivery{
		ID: notice.ID(DeliveryPrefix, n.At, n.Source, to.ID), Endpoint: to.ID, Message: notice.ID(MessagePrefix, n.At, n.Source),
		Event: n.Event, Order: n.Order, Body: body, State: Pending, CreatedAt: now, DueAt: now,
	}
}

// Answer is how one attempt ended: with a status, or with why there is none.
type Answer struct {
	Status int
	Why    string
}

// The statuses that mean something beyond "not taken".
const (
	statusGone    = 410
	statusSuccess = 200 // to 299
)

// Taken says that the endpoint has it.
func (a Answer) Taken() bool { return a.Status/100 == statusSuccess/100 }

// Gone says that the endpoint wants nothing any more.
func (a Answer) Gone() bool { return a.Status == statusGone }

func (a Answer) text() string {
	switch {
	case a.Taken():
		return ""
	case a.Gone():
		return "answered 410 Gone; the endpoint is disabled"
	case a.Status > 0:
		return "answered " + strconv.Itoa(a.Status)
	}
	return a.Why
}

// Answered is the delivery after an attempt; first is the pause after the first missed one, and spread, from 0 up to 1,
// keeps deliveries that failed together from being tried together.
func (d Delivery) Answered(a Answer, at time.Time, first time.Duration, spread float64) Delivery {
	d.Attempts++
	d.LastStatus, d.LastError, d.DueAt = a.Status, a.text(), time.Time{}
	switch {
	case a.Taken():
		d.State, d.DeliveredAt = Delivered, at
	case a.Gone() || d.Attempts >= AttemptsMax:
		d.State = Failed
	default:
		d.DueAt = at.Add(notice.Spread(first*waits[d.Attempts-1], spread))
	}
	return d
}

// Again is the delivery as somebody wants it told once more: the same message, its attempts counted anew.
func (d Delivery) Again(at time.Time) Delivery {
	d.State, d.Attempts, d.LastStatus, d.LastError, d.DueAt, d.DeliveredAt = Pending, 0, 0, "", at, time.Time{}
	return d
}
