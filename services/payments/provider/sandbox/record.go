package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// record is one line of the journal: a flat JSON object of plain words and
// whole numbers, so that it is read without reflection. Members that are empty
// are left out; docs/sandbox-provider.md says which type has which.
type record struct {
	Type     string // open, create, confirm, settle, cancel, capture, refund, refused, event, sent, dropped
	ID       string // the payment
	Key      string // create, capture, refund, refused
	Ref      string // create
	Currency string // create
	Token    string // create
	Attempt  string // confirm
	Status   string // confirm, settle, cancel, capture, refund, event: what the payment became
	Reason   string // confirm, settle, cancel, capture, refund: of the payment; refused: of the refusal
	Event    string // event, sent, dropped
	Kind     string // event; refused: capture or refund
	Amount   int64  // create, capture, refund, refused, in minor units
	Captured int64  // capture, refund, event: taken of the payment so far
	Refunded int64  // capture, refund, event: given back so far
	Final    int64  // capture: 1 if nothing more was to be captured
	Multi    int64  // create: 1 if it can be captured in parts
	Copies   int64  // event: deliveries intended
	Due      int64  // when a payment changes by itself, when an event is to be sent; unix microseconds
	Epoch    int64  // open: how often the journal was opened
	At       int64  // unix microseconds
}

// append writes the line, its end included.
func (r *record) append(b []byte) []byte {
	b = append(b, `{"t":"`...)
	b = append(b, r.Type...)
	b = append(b, '"')
	b = appendWord(b, "id", r.ID)
	b = appendWord(b, "key", r.Key)
	b = appendWord(b, "ref", r.Ref)
	b = appendWord(b, "currency", r.Currency)
	b = appendWord(b, "token", r.Token)
	b = appendWord(b, "attempt", r.Attempt)
	b = appendWord(b, "status", r.Status)
	b = appendWord(b, "reason", r.Reason)
	b = appendWord(b, "event", r.Event)
	b = appendWord(b, "kind", r.Kind)
	b = appendNumber(b, "amount", r.Amount)
	b = appendNumber(b, "captured", r.Captured)
	b = appendNumber(b, "refunded", r.Refunded)
	b = appendNumber(b, "final", r.Final)
	b = appendNumber(b, "multi", r.Multi)
	b = appendNumber(b, "copies", r.Copies)
	b = appendNumber(b, "due", r.Due)
	b = appendNumber(b, "epoch", r.Epoch)
	b = appendNumber(b, "at", r.At)
	return append(b, '}', '\n')
}

func appendWord(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = appendName(b, name)
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

func appendNumber(b []byte, name string, value int64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(appendName(b, name), value, 10)
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// plain says that a word can stand in a line without an escape.
func plain(word string) bool {
	for i := range len(word) {
		if c := word[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

var errBadLine = errors.New("not a line of this journal")

// parse reads what append wrote; the words share the line's memory. Members
// that it does not know are ignored, so that an older build can read a newer
// journal.
func (r *record) parse(line string) error {
	*r = record{}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "{")
	for ok {
		var name, value string
		var word bool
		if name, value, word, rest, ok = cutMember(rest); !ok {
			break
		}
		if err := r.set(name, value, word); err != nil {
			return err
		}
		if rest == "}" && r.Type != "" {
			return nil
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return errBadLine
}

// cutMember takes `"name":"word"` or `"name":123` off the front.
func cutMember(s string) (name, value string, word bool, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, `"`)
	if !ok {
		return "", "", false, "", false
	}
	if name, s, ok = strings.Cut(s, `"`); ok {
		s, ok = strings.CutPrefix(s, ":")
	}
	if !ok {
		return "", "", false, "", false
	}
	if s, word = strings.CutPrefix(s, `"`); word {
		value, rest, ok = strings.Cut(s, `"`)
		return name, value, word, rest, ok
	}
	end := strings.IndexAny(s, ",}")
	if end < 1 {
		return "", "", false, "", false
	}
	return name, s[:end], false, s[end:], true
}

func (r *record) set(name, value string, word bool) error {
	if word {
		if w := r.word(name); w != nil {
			*w = value
		}
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is no number", errBadLine, name)
	}
	if number := r.number(name); number != nil {
		*number = n
	}
	return nil
}

func (r *record) word(name string) *string {
	switch name {
	case "t":
		return &r.Type
	case "id":
		return &r.ID
	case "key":
		return &r.Key
	case "ref":
		return &r.Ref
	case "currency":
		return &r.Currency
	case "token":
		return &r.Token
	case "attempt":
		return &r.Attempt
	case "status":
		return &r.Status
	case "reason":
		return &r.Reason
	case "event":
		return &r.Event
	case "kind":
		return &r.Kind
	}
	return nil
}

func (r *record) number(name string) *int64 {
	switch name {
	case "amount":
		return &r.Amount
	case "captured":
		return &r.Captured
	case "refunded":
		return &r.Refunded
	case "final":
		return &r.Final
	case "multi":
		return &r.Multi
	case "copies":
		return &r.Copies
	case "due":
		return &r.Due
	case "epoch":
		return &r.Epoch
	case "at":
		return &r.At
	}
	return nil
}
