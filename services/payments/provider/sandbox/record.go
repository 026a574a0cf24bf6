package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// record is one line of the journal: a flat JSON object of plain words and
// whole numbers, so that it is read without reflection. Members that are empty
// are left out; docs/sandbox-provider.md says which type has which.
type record struct {
	Type     string // open, create, confirm, settle, cancel, event, sent, dropped
	ID       string // the payment
	Key      string // create
	Ref      string // create
	Currency string // create
	Token    string // create
	Attempt  string // confirm
	Status   string // confirm, settle, cancel: what the payment became
	Reason   string // confirm, settle, cancel
	Event    string // event, sent, dropped
	Kind     string // event
	Amount   int64  // create, in minor units
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

// parse reads what append wrote. Members that it does not know are ignored, so
// that an older build can read a newer journal.
func (r *record) parse(line []byte) error {
	*r = record{}
	rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("{"))
	for ok {
		var name, value []byte
		var word bool
		if name, value, word, rest, ok = cutMember(rest); !ok {
			break
		}
		if err := r.set(name, value, word); err != nil {
			return err
		}
		if string(rest) == "}" && r.Type != "" {
			return nil
		}
		rest, ok = bytes.CutPrefix(rest, []byte(","))
	}
	return errBadLine
}

// cutMember takes `"name":"word"` or `"name":123` off the front.
func cutMember(b []byte) (name, value []byte, word bool, rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte{'"'})
	if !ok {
		return nil, nil, false, nil, false
	}
	if name, b, ok = bytes.Cut(b, []byte(`":`)); !ok {
		return nil, nil, false, nil, false
	}
	if b, word = bytes.CutPrefix(b, []byte{'"'}); word {
		value, rest, ok = bytes.Cut(b, []byte{'"'})
		return name, value, word, rest, ok
	}
	end := bytes.IndexAny(b, ",}")
	if end < 1 {
		return nil, nil, false, nil, false
	}
	return name, b[:end], false, b[end:], true
}

func (r *record) set(name, value []byte, word bool) error {
	if word {
		if w := r.word(string(name)); w != nil {
			*w = string(value)
		}
		return nil
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is no number", errBadLine, name)
	}
	if number := r.number(string(name)); number != nil {
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
