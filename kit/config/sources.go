package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FileMax is the largest configuration file that is read, in bytes.
const FileMax = 1 << 20

// gather finds the strongest value of each setting; the weaker sources come first and are written over.
func gather(fields []*field, from Sources) (map[string]given, error) {
	out := map[string]given{}
	wrong := errors.Join(
		fromFile(fields, from.File, out),
		fromEnv(fields, from.Env, from.Elsewhere, out),
		fromFlags(fields, from.Flags, out),
	)
	return out, wrong
}

func fromFlags(fields []*field, flags map[string]string, out map[string]given) error {
	var wrong []error
	for _, flag := range sortedKeys(flags) {
		name := canonical(flag)
		if !known(fields, name) {
			wrong = append(wrong, unknown("flag --"+flag, name, names(fields)))
			continue
		}
		out[name] = given{flags[flag], "flag --" + flag}
	}
	return errors.Join(wrong...)
}

func fromEnv(fields []*field, env, elsewhere []string, out map[string]given) error {
	byEnv := map[string]string{}
	for _, f := range fields {
		byEnv[f.env] = f.name
	}
	var wrong []error
	for _, entry := range env {
		variable, value, _ := strings.Cut(entry, "=")
		name, ok := byEnv[variable]
		switch {
		case ok:
			out[name] = given{value, "env " + variable}
		case strings.HasPrefix(variable, EnvPrefix) && !slices.Contains(elsewhere, variable):
			wrong = append(wrong, unknown("env "+variable, variable, sortedKeys(byEnv)))
		}
	}
	return errors.Join(wrong...)
}

func fromFile(fields []*field, path string, out map[string]given) error {
	if path == "" {
		return nil
	}
	text, err := readBounded(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	// JSON is YAML, so one parser reads both and knows the line of each value.
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // an empty file says nothing
		}
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	w := walk{fields: fields, file: filepath.Base(path), out: out, seen: map[string]int{}}
	w.mapping("", doc.Content[0])
	return errors.Join(w.wrong...)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, FileMax+1))
	if err == nil && len(text) > FileMax {
		return nil, fmt.Errorf("%s is larger than %v", path, Size(FileMax))
	}
	return text, err
}

// walk goes through a file and takes the settings out of it.
type walk struct {
	fields []*field
	file   string
	out    map[string]given
	seen   map[string]int // setting → line that gave it
	wrong  []error
}

func (w *walk) mapping(room string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		w.refuse(fmt.Errorf("file %s:%d: want settings by name, such as `http: 127.0.0.1:8080`", w.file, n.Line))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := fullName(room, canonical(key.Value))
		switch {
		case known(w.fields, name):
			w.take(name, value)
		case room == "" && value.Kind == yaml.MappingNode && knownRoom(w.fields, name):
			w.mapping(name, value)
		default:
			w.refuse(unknown(fmt.Sprintf("file %s:%d: %s", w.file, key.Line, name), name, names(w.fields)))
		}
	}
}

// take keeps the value of a known setting: a scalar, or a list of scalars.
func (w *walk) take(name string, n *yaml.Node) {
	if line, twice := w.seen[name]; twice {
		w.refuse(fmt.Errorf("setting %s from file %s:%d: it is set already on line %d", name, w.file, n.Line, line))
		return
	}
	w.seen[name] = n.Line
	text, ok := scalars(n)
	if !ok {
		w.refuse(fmt.Errorf("setting %s from file %s:%d: want one value or a list of values", name, w.file, n.Line))
		return
	}
	w.out[name] = given{text, fmt.Sprintf("file %s:%d", w.file, n.Line)}
}

func (w *walk) refuse(err error) { w.wrong = append(w.wrong, err) }

func scalars(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		return n.Value, true
	}
	if n.Kind != yaml.SequenceNode {
		return "", false
	}
	var items []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			return "", false
		}
		items = append(items, item.Value)
	}
	return strings.Join(items, ","), true
}

func known(fields []*field, name string) bool {
	return slices.ContainsFunc(fields, func(f *field) bool { return f.name == name })
}

func knownRoom(fields []*field, room string) bool {
	return slices.ContainsFunc(fields, func(f *field) bool { return strings.HasPrefix(f.name, room+".") })
}

func names(fields []*field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.name)
	}
	return out
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
