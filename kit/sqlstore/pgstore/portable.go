package pgstore

import (
	"strconv"
	"strings"
)

// portable turns a room's SQL into PostgreSQL's: ? becomes $1, $2, …; the types, which are written in capitals, become
// those with the same range; and text columns are ordered by their bytes, whatever the database's language. Literals,
// quoted names and comments stay as they are.
func portable(query string) string {
	t := translation{from: query}
	for t.at < len(query) {
		t.step()
	}
	return t.to.String()
}

// translation reads from and writes to.
type translation struct {
	from     string
	at       int
	to       strings.Builder
	args     int
	first    string // word of the statement
	previous string // word
}

func (t *translation) step() {
	rest := t.from[t.at:]
	switch c := rest[0]; {
	case c == '\'' || c == '"':
		t.copy(quotedLength(rest))
	case strings.HasPrefix(rest, "--"):
		t.copy(until(rest, "\n"))
	case strings.HasPrefix(rest, "/*"):
		t.copy(until(rest, "*/"))
	case c == '?':
		t.at++
		t.args++
		t.to.WriteString("$" + strconv.Itoa(t.args))
	case letter(c):
		t.word(rest)
	default:
		if c == ';' {
			t.first = ""
		}
		t.copy(1)
	}
}

func (t *translation) copy(n int) {
	t.to.WriteString(t.from[t.at : t.at+n])
	t.at += n
}

// quotedLength includes the quotes; a doubled one begins the next literal, which is as good.
func quotedLength(s string) int {
	if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
		return end + 2
	}
	return len(s)
}

func until(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func (t *translation) word(rest string) {
	n := 1
	for n < len(rest) && (letter(rest[n]) || rest[n] >= '0' && rest[n] <= '9') {
		n++
	}
	word := rest[:n]
	if t.first == "" {
		t.first = strings.ToUpper(word)
	}
	t.to.WriteString(t.typed(word))
	t.at += n
	t.previous = word
}

// typed is the word, or the type that takes its place: in a definition, and after AS in a CAST.
func (t *translation) typed(word string) string {
	cast := strings.EqualFold(t.previous, "AS")
	if !cast && t.first != "CREATE" && t.first != "ALTER" {
		return word
	}
	switch word {
	case "INTEGER":
		return "BIGINT"
	case "REAL":
		return "DOUBLE PRECISION"
	case "BLOB":
		return "BYTEA"
	case "TEXT":
		if !cast {
			return `TEXT COLLATE "C"`
		}
	}
	return word
}
