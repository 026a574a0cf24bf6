package rest

import (
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seed-21071466/souk/kit/problem"
)

// refuseOther refuses a body that says something else than the path of what the path names: the generated code puts the
// path's value over the body's and would do silently to one thing what was written for another. v is what the body was
// decoded into: the message whose fields the variables are or, under a rule with body: "book", that field, of which the
// variable "book.id" names one.
func refuseOther(v any, params map[string]string) *problem.Error {
	if len(params) == 0 {
		return nil
	}
	m, part := messageOf(v)
	if m == nil {
		return nil
	}
	for name, value := range params {
		if part {
			_, inner, dotted := strings.Cut(name, ".")
			if !dotted {
				continue // a field beside the body's
			}
			name = inner
		}
		if said := textAt(m, name); said != "" && said != value {
			return problem.Field(name, "differs_from_path", "is not what the path names; leave it out, or write the same")
		}
	}
	return nil
}

// messageOf is what was decoded; part says that it is one field of the request.
func messageOf(v any) (m protoreflect.Message, part bool) {
	if whole, ok := v.(proto.Message); ok {
		return whole.ProtoReflect(), false
	}
	if field := reflect.ValueOf(v); field.Kind() == reflect.Pointer && !field.IsNil() {
		if inner, ok := field.Elem().Interface().(proto.Message); ok {
			return inner.ProtoReflect(), true
		}
	}
	return nil, false
}

// textAt is the text at a dotted path of fields, "" when there is none.
func textAt(m protoreflect.Message, path string) string {
	name, rest, nested := strings.Cut(path, ".")
	field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case field == nil || field.IsList() || field.IsMap():
		return ""
	case nested && field.Message() != nil:
		return textAt(m.Get(field).Message(), rest)
	case nested || field.Kind() != protoreflect.StringKind:
		return ""
	}
	return m.Get(field).String()
}
