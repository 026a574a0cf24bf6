package product

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/problem"
)

// violationsMax bounds how many faults of one product are told at once.
const violationsMax = 20

// checker gathers what is wrong with a document, field by field.
type checker struct{ found *problem.Error }

// refuse adds a fault. The first one is also the refusal's own message.
func (c *checker) refuse(field, code, message string) {
	switch {
	case c.found == nil:
		c.found = problem.Field(field, code, message)
	case len(c.found.Violations) < violationsMax:
		c.found.On(field, code, message)
	}
}

// err is the refusal, nil when nothing is wrong.
func (c *checker) err() error {
	if c.found == nil {
		return nil
	}
	return c.found
}

func (c *checker) tooMany(field string, most int) {
	c.refuse(field, "too_many", "at most "+strconv.Itoa(most)+" are allowed")
}

// text refuses what is too long or not clean text; empty is allowed.
func (c *checker) text(field, text string, charsMax int) {
	switch {
	case !utf8.ValidString(text):
		c.refuse(field, "not_utf8", "the text is not valid UTF-8")
	case utf8.RuneCountInString(text) > charsMax:
		c.refuse(field, "too_long", "at most "+strconv.Itoa(charsMax)+" characters are allowed")
	case strings.ContainsFunc(text, isControl):
		c.refuse(field, "control_character", "control characters are not allowed")
	}
}

// name is text that must not be empty.
func (c *checker) name(field, text string, charsMax int) {
	if text == "" {
		c.refuse(field, "required", "must not be empty")
		return
	}
	c.text(field, text, charsMax)
}

// isControl accepts what ends a line or sets a tab in a description.
func isControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
}

// at is the path of one element: "variants[2]".
func at(field string, index int) string { return field + "[" + strconv.Itoa(index) + "]" }
