package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/seed-21071466/souk/kit/problem"
)

// marshaler is the runtime's door to JSON.
type marshaler struct{ *encoder }

// encoded is an answer that Mux.answer has encoded.
type encoded []byte

// odd serves the rules whose body is a list or a map, which the contracts hardly use.
var odd = &runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}}

func (marshaler) ContentType(any) string { return contentJSON[0] }

func (m marshaler) Marshal(v any) ([]byte, error) {
	if done, ok := v.(encoded); ok {
		return done, nil
	}
	return m.answer(nil, v)
}

func (marshaler) Unmarshal(data []byte, v any) error { return unmarshal(data, v) }

func (m marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		out, err := m.answer(nil, v)
		if err != nil {
			return err
		}
		_, err = w.Write(out)
		return err
	})
}

func (marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error { return decode(r, v) })
}

// body is a request's body; it remembers to whom a refusal belongs, because
// the generated code hands on no more of an error than its text.
type body struct {
	io.ReadCloser
	exchange *exchange
}

// decode reads one message. An empty body is io.EOF, which the generated code
// takes for the empty message.
func decode(r io.Reader, v any) error {
	b := buffers.Get().(*[]byte)
	into := bytes.NewBuffer((*b)[:0])
	_, err := into.ReadFrom(r)
	data := into.Bytes()
	defer func() {
		if *b = data; cap(data) <= bufferMax {
			buffers.Put(b)
		}
	}()
	var refusal *problem.Error
	switch {
	case err != nil:
		refusal = unreadable(err)
	case len(bytes.TrimSpace(data)) == 0:
		return io.EOF
	default:
		if err = unmarshal(data, v); err != nil {
			refusal = malformed(data, err)
		} else {
			refusal = refuseNul(data)
		}
	}
	from, known := r.(*body)
	if known && refusal == nil {
		refusal = refuseOther(v, from.exchange.params)
	}
	if refusal == nil {
		return nil
	}
	if known {
		from.exchange.refusal = refusal
	}
	return refusal
}

// unmarshal takes a message, a pointer to one (a rule with body: "field"), or
// whatever else the runtime understands.
func unmarshal(data []byte, v any) error {
	if m, ok := v.(proto.Message); ok {
		return protojson.Unmarshal(data, m)
	}
	field := reflect.ValueOf(v)
	if field.Kind() != reflect.Pointer || field.Elem().Kind() != reflect.Pointer {
		return odd.Unmarshal(data, v)
	}
	fresh := reflect.New(field.Type().Elem().Elem())
	m, ok := fresh.Interface().(proto.Message)
	if !ok {
		return odd.Unmarshal(data, v)
	}
	if err := protojson.Unmarshal(data, m); err != nil {
		return err
	}
	field.Elem().Set(fresh)
	return nil
}

// refuseNul refuses the character U+0000 in a text: not every store can keep it. JSON writes it in one way only.
func refuseNul(data []byte) *problem.Error {
	if !bytes.Contains(data, []byte(`\u0000`)) {
		return nil
	}
	field := nulAt(data)
	if field == "" {
		return nil // an escaped backslash before "u0000"
	}
	return problem.Field(field, "wrong_value", "has the character U+0000, which no text may have")
}

// nulAt is the path of the first text of a JSON document that has U+0000 in it.
func nulAt(data []byte) string {
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if text, ok := token.(string); ok && strings.ContainsRune(text, 0) {
			return fieldAt(data, int(d.InputOffset())-1)
		}
	}
}

// badQuery refuses parameters that are no text, or not all of it.
func badQuery(raw string) *problem.Error {
	if !strings.Contains(raw, "%") {
		return nil
	}
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		text, err := url.QueryUnescape(value)
		if err != nil || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return problem.Field(printable(name), "wrong_value", "is no UTF-8 text, or has the character U+0000")
		}
	}
	return nil
}

// printable is a parameter's name as a problem document may repeat it.
func printable(name string) string {
	if text, err := url.QueryUnescape(name); err == nil && utf8.ValidString(text) && len(text) <= nameMax {
		return text
	}
	return ""
}

// nameMax bounds a parameter's name that is repeated, in bytes.
const nameMax = 100

func unreadable(err error) *problem.Error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return TooLarge(tooLarge.Limit)
	}
	return problem.New(problem.Invalid, "body_incomplete", "The body did not arrive whole.").Because(err)
}

// TooLarge is the refusal of a body over a bound.
func TooLarge(limit int64) *problem.Error {
	return problem.Newf(problem.TooLarge, "body_too_large", "The body is over %d bytes.", limit).
		With("limit", strconv.FormatInt(limit, 10))
}

// position is how protojson says where: line and column, counted from 1 in
// characters. Its errors are not stable in their white space.
var position = regexp.MustCompile(`\s?\(line (\d+):(\d+)\)`)

// malformed is the refusal of JSON that protojson did not take, naming the
// field by its path.
func malformed(data []byte, err error) *problem.Error {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	text = strings.TrimPrefix(text, "proto: ")
	field := ""
	if at := position.FindStringSubmatch(text); at != nil {
		line, _ := strconv.Atoi(at[1])
		column, _ := strconv.Atoi(at[2])
		field = fieldAt(data, offsetOf(data, line, column))
		text = strings.TrimPrefix(position.ReplaceAllString(text, ""), ": ")
	}
	text = inWords(text)
	code := "wrong_value"
	switch {
	case strings.HasPrefix(text, "unknown field"):
		code = "unknown_field"
	case strings.HasPrefix(text, "duplicate field"):
		code = "duplicate_field"
	case strings.HasPrefix(text, "syntax error"), strings.HasPrefix(text, "unexpected"), field == "":
		code = "malformed_json"
	}
	return problem.New(problem.Invalid, "invalid_request", "The body was not understood: "+text+".").On(field, code, text)
}

// inWords says in the words of JSON what protojson says in its own.
func inWords(text string) string {
	switch {
	case text == "unexpected EOF":
		return "unexpected end of the JSON text, or of a character in it"
	case strings.Contains(text, "google.protobuf.Timestamp"):
		return "invalid time; write it as 2026-01-31T12:00:00Z"
	}
	return text
}

func offsetOf(data []byte, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			return len(data)
		}
		at += next + 1
	}
	for ; column > 1 && at < len(data); column-- {
		_, size := utf8.DecodeRune(data[at:])
		at += size
	}
	return at
}

// level is one object or list around a place in a JSON text.
type level struct {
	list    bool
	index   int
	key     string
	wantKey bool
}

// fieldAt is the path of what stands at an offset of a JSON text,
// "lines[0].quantity". In a broken text it is the path as far as it can be read.
func fieldAt(data []byte, offset int) string {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var around []level
	for {
		token, err := d.Token()
		if err != nil {
			return pathOf(around)
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			around = around[:len(around)-1]
			continue
		}
		if n := len(around); n > 0 {
			around[n-1].step(token)
		}
		if d.InputOffset() > int64(offset) {
			return pathOf(around)
		}
		if delim != 0 {
			around = append(around, level{list: delim == '[', index: -1, wantKey: delim == '{'})
		}
	}
}

// step moves on to the next key or value.
func (l *level) step(token json.Token) {
	switch {
	case l.list:
		l.index++
	case l.wantKey:
		l.key, _ = token.(string)
		l.wantKey = false
	default:
		l.wantKey = true
	}
}

func pathOf(around []level) string {
	var path strings.Builder
	for _, l := range around {
		switch {
		case l.list && l.index >= 0:
			path.WriteString("[" + strconv.Itoa(l.index) + "]")
		case l.key != "" && path.Len() > 0:
			path.WriteString("." + l.key)
		default:
			path.WriteString(l.key)
		}
	}
	return path.String()
}
