package natsbus

import "strings"

// Stream is the name of a source's stream on the broker.
func Stream(shop, source string) string { return "SOUK_" + shop + "_" + source }

// The subjects of a source, below souk.<shop>.<source>.:
//
//	events.<type>  its records, one message each, kept by the stream; events.none for those that say nothing in public
//	head           the relay tells every announceEvery where the log ends; not kept
//	ask            asks the source's process for records or for its end; answered by one of its processes
type subjects struct{ events, head, ask string }

// untyped ends the subject of a record that says nothing in public.
const untyped = "none"

func subjectsOf(shop, source string) subjects {
	base := "souk." + shop + "." + source + "."
	return subjects{events: base + "events.", head: base + "head", ask: base + "ask"}
}

// of is the subject of an event of that type, for whoever looks by type; what a
// type means is in the message.
func (s subjects) of(typ string) string {
	words := strings.FieldsFunc(typ, func(r rune) bool { return r <= ' ' || strings.ContainsRune(".*>", r) })
	if len(words) == 0 {
		return s.events + untyped
	}
	return s.events + strings.Join(words, ".")
}

// all is the subject that a stream keeps and that a feed listens to.
func (s subjects) all() string { return s.events + ">" }
