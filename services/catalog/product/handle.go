package product

import (
	"strings"
	"unicode"
)

// handleMadeMax bounds a handle made from a title; it leaves room for the
// suffix of a second product of the same title.
const handleMadeMax = 60

// sortKeyMax bounds the key that lists are ordered by; titles that agree on
// so many bytes are ordered by id.
const sortKeyMax = 120

// HandleFor makes the name of a product in addresses of pages from its title:
// "Crème brûlée set" is "creme-brulee-set". A title without a Latin letter or
// digit gives the id's form.
func HandleFor(title Texts, id string) string {
	if handle := slug(title.In(Fallback)); handle != "" {
		return handle
	}
	return slug(id)
}

// HandleSecond is the handle of a product whose made handle another has.
func HandleSecond(handle, id string) string {
	return strings.Trim(handle+"-"+slug(id), "-")
}

// slug keeps Latin letters and digits in lower case, without accents, and
// joins them by single hyphens.
func slug(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range Fold(text) {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			gap = gap || r != '\'' // "lady's" is "ladys"
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('-')
		}
		gap = false
		if b.WriteRune(r); b.Len() >= handleMadeMax {
			break
		}
	}
	return wholeWords(b.String())
}

// wholeWords takes off the word that a bound has cut, unless it is the only one.
func wholeWords(handle string) string {
	if len(handle) < handleMadeMax {
		return handle
	}
	if end := strings.LastIndexByte(handle, '-'); end > 0 {
		return handle[:end]
	}
	return handle
}

// SortKey orders lists by title without regard to case and accents. Scripts
// other than Latin follow in the order of their letters.
func SortKey(title Texts) string {
	key := Fold(title.In(Fallback))
	if len(key) <= sortKeyMax {
		return key
	}
	return strings.ToValidUTF8(key[:sortKeyMax], "")
}

// Fold is a text in lower case without the accents of Latin letters.
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		switch r = unicode.ToLower(r); {
		case r < 0x80:
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // a combining accent
		case accented[r] != "":
			b.WriteString(accented[r])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// accented gives the plain form of the Latin letters of Unicode's Latin-1 and
// Latin Extended-A blocks, in lower case.
var accented = plainForms(map[string]string{
	"àáâãäåāăą": "a", "æ": "ae", "çćĉċč": "c", "ďđð": "d", "èéêëēĕėęě": "e", "ĝğġģ": "g", "ĥħ": "h",
	"ìíîïĩīĭįı": "i", "ij": "ij", "ĵ": "j", "ķĸ": "k", "ĺļľŀł": "l", "ñńņňʼnŋ": "n", "òóôõöøōŏő": "o", "œ": "oe",
	"ŕŗř": "r", "śŝşšșſ": "s", "ß": "ss", "ţťŧț": "t", "þ": "th", "ùúûüũūŭůűų": "u", "ŵ": "w", "ýÿŷ": "y", "źżž": "z",
	"’‘": "'",
})

func plainForms(groups map[string]string) map[rune]string {
	forms := make(map[rune]string)
	for letters, plain := range groups {
		for _, r := range letters {
			forms[r] = plain
		}
	}
	return forms
}
