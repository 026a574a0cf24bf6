package product

import (
	"maps"
	"slices"
	"strings"
)

// Texts is a text in several languages, by locale ("en", "pt-BR").
type Texts map[string]string

// In is the text for a reader of that locale: the locale's own, else its
// language's, else the fallback's, else the first locale's by name.
func (t Texts) In(locale string) string {
	if text, ok := t[locale]; ok {
		return text
	}
	language, _, regional := strings.Cut(locale, "-")
	if text, ok := t[language]; ok && regional {
		return text
	}
	if text, ok := t[Fallback]; ok || len(t) == 0 {
		return text
	}
	return t[slices.Min(slices.Collect(maps.Keys(t)))]
}

// normalise trims every text and drops the empty ones; a locale is written
// "pt-BR", its language in lower case.
func (t Texts) normalise() Texts {
	trimmed := make(Texts, len(t))
	for locale, text := range t {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		language, region, found := strings.Cut(strings.TrimSpace(locale), "-")
		locale = strings.ToLower(language)
		if found {
			locale += "-" + region
		}
		trimmed[locale] = text
	}
	if len(trimmed) == 0 {
		return nil
	}
	return trimmed
}

// check refuses what is no locale, too long, or not text.
func (t Texts) check(c *checker, field string, charsMax int) {
	if len(t) > LocalesMax {
		c.tooMany(field, LocalesMax)
	}
	for _, locale := range slices.Sorted(maps.Keys(t)) {
		path := field + "." + locale
		if !isLocale(locale) {
			c.refuse(path, "not_a_locale", `a locale is a language and perhaps a region, such as "en" or "pt-BR"`)
			continue
		}
		c.text(path, t[locale], charsMax)
	}
}

// isLocale accepts the common shapes of BCP 47: 2 or 3 letters, then subtags
// of 2 to 8 letters or digits.
func isLocale(s string) bool {
	for i, tag := range strings.Split(s, "-") {
		if i == 0 && (len(tag) > 3 || !allLetters(tag)) || len(tag) < 2 || len(tag) > 8 || !allWordBytes(tag) {
			return false
		}
	}
	return true
}

func allLetters(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
}

func allWordBytes(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}
