// Package config fills one struct a room from flags, the environment, a file and defaults, in that order of strength,
// and remembers where each value came from, so that `souk config` can say what holds and whence.
//
// A room declares its settings once:
//
//	type Config struct {
//		CheckoutWait time.Duration `name:"checkout_wait" default:"10s" help:"how long a checkout waits for its answer"`
//		BodyMax      config.Size   `name:"body_max" default:"1MiB" help:"largest request body"`
//		StripeKey    config.Secret `name:"stripe_key" help:"the provider's API key"`
//	}
//
// In the room orders the first is orders.checkout_wait as a flag and in the file (`orders: {checkout_wait: 5s}`), and
// SOUK_ORDERS_CHECKOUT_WAIT in the environment. What nobody declared is refused with the nearest name that is known.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// EnvPrefix begins the name of every variable that Souk reads.
const EnvPrefix = "SOUK_"

// Section is the part of the configuration that one room owns.
type Section struct {
	Room string // "" for the settings of the process itself
	Into any    // pointer to the room's struct; Load fills it
}

// Sources are what values are looked up in, the strongest first. The zero value gives only defaults.
type Sources struct {
	Flags map[string]string // by full name, such as "orders.checkout_wait"; '-' and '_' are alike
	Env   []string          // as os.Environ gives it
	File  string            // path of a YAML or JSON file; "" for none
	// Elsewhere names SOUK_ variables that are read by others and so not refused here, for example SOUK_CONFIG.
	Elsewhere []string
}

// Setting is one value that holds, and whence.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`  // masked when it is a secret
	Whence string `json:"whence"` // "flag --http", "env SOUK_HTTP", "file souk.yaml:3" or "default"
	Help   string `json:"help"`
	Env    string `json:"env"` // the variable that would set it
}

// Loaded is a configuration that holds.
type Loaded struct{ settings []Setting }

// Settings lists every setting in order of name.
func (l *Loaded) Settings() []Setting { return slices.Clone(l.settings) }

// Load fills every section, or reports all that is wrong in one error. A section is only changed when Load succeeds.
func Load(sections []Section, from Sources) (*Loaded, error) {
	fields, err := declare(sections)
	if err != nil {
		return nil, err
	}
	given, err := gather(fields, from)
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, f := range fields {
		if err := f.choose(given[f.name]); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return settle(fields), nil
}

// settle writes the chosen values into the sections.
func settle(fields []*field) *Loaded {
	l := &Loaded{}
	for _, f := range fields {
		f.target.Set(f.value)
		l.settings = append(l.settings, Setting{
			Name: f.name, Value: f.shown(), Whence: f.whence, Help: f.help, Env: f.env,
		})
	}
	slices.SortFunc(l.settings, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return l
}

// field is one declared setting and, once chosen, its value.
type field struct {
	name, env, help, fallback string
	target                    reflect.Value // the struct's field
	value                     reflect.Value // what it will be set to
	whence                    string
}

// given is a raw value from one source.
type given struct{ text, whence string }

// choose parses the strongest value that a source gave, or the default.
func (f *field) choose(g given) error {
	if g.whence == "" {
		g = given{text: f.fallback, whence: "default"}
	}
	f.value, f.whence = reflect.New(f.target.Type()).Elem(), g.whence
	if g.text == "" && g.whence == "default" {
		return nil // no default is declared: the zero value holds
	}
	wanted, err := parse(f.value, g.text)
	if err != nil {
		return fmt.Errorf("setting %s from %s: %s is not %s", f.name, g.whence, f.quoted(g.text), wanted)
	}
	return nil
}

// quoted shows a refused value, unless it may hold a secret.
func (f *field) quoted(text string) string {
	if t := f.target.Type(); t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[Address]() {
		return "the value"
	}
	return fmt.Sprintf("%q", text)
}

func (f *field) shown() string {
	if list, ok := f.value.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(f.value.Interface())
}

// declare reads the tags of every section and refuses what a programmer must mend.
func declare(sections []Section) ([]*field, error) {
	var fields []*field
	taken := map[string]string{} // variable → setting
	for _, s := range sections {
		v := reflect.ValueOf(s.Into)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
			return nil, fmt.Errorf("declare settings of %q: Into is %T, want a pointer to a struct", s.Room, s.Into)
		}
		for i := range v.Elem().NumField() {
			f, err := declared(s.Room, v.Elem().Type().Field(i), v.Elem().Field(i))
			if err != nil {
				return nil, err
			}
			if f == nil {
				continue
			}
			if other, clash := taken[f.env]; clash {
				return nil, fmt.Errorf("declare setting %s: its variable %s is taken by %s; rename one", f.name, f.env, other)
			}
			taken[f.env] = f.name
			fields = append(fields, f)
		}
	}
	return fields, nil
}

// declared reads the tags of one struct field; a field without a name tag is no setting.
func declared(room string, t reflect.StructField, v reflect.Value) (*field, error) {
	name, ok := t.Tag.Lookup("name")
	if !ok {
		return nil, nil
	}
	f := &field{name: fullName(room, name), help: t.Tag.Get("help"), fallback: t.Tag.Get("default"), target: v}
	f.env = EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.name, ".", "_"))
	switch {
	case name == "" || name != canonical(name) || strings.Contains(name, "."):
		return nil, fmt.Errorf("declare setting %s: the name must be snake_case", f.name)
	case f.help == "":
		return nil, fmt.Errorf("declare setting %s: the help tag is missing", f.name)
	case !t.IsExported() || !parses(v.Type()):
		return nil, fmt.Errorf("declare setting %s: a field of type %s cannot be set; export it and use a type that Load knows", f.name, v.Type())
	}
	return f, nil
}

func fullName(room, name string) string {
	if room == "" {
		return name
	}
	return canonical(room) + "." + name
}

// canonical is how a name is spelt here, however the flag or the file spelt it.
func canonical(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "-", "_")
}
