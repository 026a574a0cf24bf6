package config

import (
	"encoding"
	"errors"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written 512, 64KiB, 1MiB or 2GB.
type Size int64

// units of a Size, the longer names first because "B" ends them all.
var units = []struct {
	name  string
	bytes Size
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"B", 1},
}

var errSize = errors.New("not a size")

// UnmarshalText reads a size; it must be a whole number of bytes, not negative.
func (s *Size) UnmarshalText(text []byte) error {
	digits, unit := string(text), Size(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return errSize
	}
	*s = Size(n) * unit
	return nil
}

// String writes the size in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name  string
		bytes Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Secret is a value that is never shown: printing it gives a mask. Reveal gives what it holds.
type Secret string

// String gives a mask, or "" when nothing is set, so that one can see whether it is.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "******"
}

// GoString gives the mask too, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText gives the mask too, for JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal is the secret itself, for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// Address is a URL, of which a password is never shown: printing it masks that part. Reveal gives the whole.
type Address string

// String is the address with its password masked.
func (a Address) String() string {
	u, err := url.Parse(string(a))
	if err != nil {
		return Secret(a).String() // who knows what stands in it
	}
	if _, has := u.User.Password(); !has {
		return string(a)
	}
	return strings.Replace(u.Redacted(), ":xxxxx@", ":******@", 1)
}

// GoString masks the password too, for %#v.
func (a Address) GoString() string { return a.String() }

// MarshalText masks the password too, for JSON and logs.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Reveal is the address itself, for the one call that needs it.
func (a Address) Reveal() string { return string(a) }

// parses says whether parse knows how to fill a field of this type.
func parses(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return true
	case reflect.Slice:
		return t == reflect.TypeFor[[]string]()
	default:
		return false
	}
}

// parse fills v from text; when it cannot, wanted says what would have been right.
func parse(v reflect.Value, text string) (wanted string, err error) {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return wantedBy(u), u.UnmarshalText([]byte(text))
	}
	if d, ok := v.Addr().Interface().(*time.Duration); ok {
		*d, err = time.ParseDuration(text)
		return "a duration such as 250ms, 10s or 1h30m", err
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false", parseBool(v, text)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return "a whole number of " + strconv.Itoa(v.Type().Bits()) + " bits", err
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		v.SetFloat(n)
		return "a number such as 0.5", err
	case reflect.Slice:
		v.Set(reflect.ValueOf(list(text)))
	default:
		v.SetString(text)
	}
	return "", nil
}

func wantedBy(u encoding.TextUnmarshaler) string {
	if _, ok := u.(*Size); ok {
		return "a size such as 512, 64KiB, 1MiB or 2GB"
	}
	return "a " + reflect.TypeOf(u).Elem().Name()
}

// parseBool takes the words that YAML, shells and people use.
func parseBool(v reflect.Value, text string) error {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		v.SetBool(true)
	case "false", "no", "off", "0":
		v.SetBool(false)
	default:
		return strconv.ErrSyntax
	}
	return nil
}

func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
