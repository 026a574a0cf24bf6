package placement

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Place is where a room keeps its rows: File, or the URL of a database, which may have a password in it.
type Place string

// File is the room's file in the data folder.
const File Place = "file"

// ParsePlace reads a place as people write it; {room} stands for the room. What is wrong with it is said without it, for
// there may be a password in it.
func ParsePlace(text, room string) (Place, error) {
	text = strings.ReplaceAll(text, "{room}", room)
	if text == "" || text == string(File) || text == "embedded" {
		return File, nil
	}
	const want = "write postgres://user:password@host:5432/database, or file for the data folder"
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return "", errors.New("it is no place for rows: " + want)
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", fmt.Errorf("%q is no engine for rows: %s", u.Scheme, want)
	}
	if u.Host == "" {
		return "", errors.New("it names no host: " + want)
	}
	return Place(text), nil
}

// SQL reports whether it is a place for rows at all; a room may keep what it has in something else, by its setting.
func (p Place) SQL() bool {
	_, err := ParsePlace(string(p), "")
	return err == nil
}

// String is the place for people: without its password.
func (p Place) String() string {
	if p == File {
		return "the data folder"
	}
	u, err := url.Parse(string(p))
	if err != nil {
		return "a place that is no URL"
	}
	return u.Redacted()
}

// GoString keeps passwords out of prints of what has a place in it.
func (p Place) GoString() string { return p.String() }

// Same reports whether two places are the same database, whoever asks it and however.
func (p Place) Same(other Place) bool {
	if p == File || other == File {
		return p == other
	}
	return p.database() == other.database()
}

func (p Place) database() string {
	u, err := url.Parse(string(p))
	if err != nil {
		return string(p)
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), cmp.Or(u.Port(), "5432")) + u.Path
}

// discreet removes the passwords of places from what an error says.
func discreet(text string, places ...Place) string {
	for _, p := range places {
		u, err := url.Parse(string(p))
		if err != nil || u.User == nil {
			continue
		}
		if password, ok := u.User.Password(); ok && password != "" {
			text = strings.ReplaceAll(text, password, "xxxxx")
			text = strings.ReplaceAll(text, url.QueryEscape(password), "xxxxx")
		}
	}
	return text
}
