package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// everything is a message with every type of field, alone, optional, repeated,
// in a oneof and as a map's value, and the well-known messages.
func everything(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	_ = []proto.Message{&timestamppb.Timestamp{}, &durationpb.Duration{}, &structpb.Value{}} // registered
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("e.proto"), Package: proto.String("e"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto", "google/protobuf/duration.proto", "google/protobuf/struct.proto"},
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: proto.String("Colour"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: proto.String("COLOUR_NONE"), Number: proto.Int32(0)}, {Name: proto.String("COLOUR_RED"), Number: proto.Int32(3)},
		}}},
	}
	all := &descriptorpb.DescriptorProto{Name: proto.String("All"), OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: proto.String("one")}}}
	messages := []string{".e.All", ".google.protobuf.Timestamp", ".google.protobuf.Duration", ".google.protobuf.Value"}
	number := int32(0)
	add := func(name string, typ descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
		number++
		f := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(fmt.Sprintf("%s_%d", name, number)), Number: proto.Int32(number),
			Type: typ.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if of != "" {
			f.TypeName = proto.String(of)
		}
		return f
	}
	var choice []*descriptorpb.FieldDescriptorProto
	shapes := func(typ descriptorpb.FieldDescriptorProto_Type, of string) {
		list, one := add("list", typ, of), add("one", typ, of)
		list.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		one.OneofIndex = proto.Int32(0)
		all.Field = append(all.Field, add("plain", typ, of), list)
		choice = append(choice, one) // the fields of a oneof stand together
	}
	var optional []*descriptorpb.FieldDescriptorProto
	for typ := descriptorpb.FieldDescriptorProto_TYPE_DOUBLE; typ <= descriptorpb.FieldDescriptorProto_TYPE_SINT64; typ++ {
		switch typ {
		case descriptorpb.FieldDescriptorProto_TYPE_GROUP:
		case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
			for _, m := range messages {
				shapes(typ, m)
				all.NestedType = append(all.NestedType, mapEntry(number, descriptorpb.FieldDescriptorProto_TYPE_STRING, typ, m))
				all.Field = append(all.Field, mapField(&number))
			}
		case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
			shapes(typ, ".e.Colour")
		default:
			shapes(typ, "")
			optional = append(optional, add("maybe", typ, ""))
			if typ != descriptorpb.FieldDescriptorProto_TYPE_DOUBLE && typ != descriptorpb.FieldDescriptorProto_TYPE_FLOAT && typ != descriptorpb.FieldDescriptorProto_TYPE_BYTES {
				all.NestedType = append(all.NestedType, mapEntry(number, typ, descriptorpb.FieldDescriptorProto_TYPE_BYTES, ""))
				all.Field = append(all.Field, mapField(&number))
			}
		}
	}
	all.Field = append(all.Field, choice...)
	for i, f := range optional {
		f.Proto3Optional, f.OneofIndex = proto.Bool(true), proto.Int32(int32(i+1))
		all.OneofDecl = append(all.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + f.GetName())})
		all.Field = append(all.Field, f)
	}
	file.MessageType = []*descriptorpb.DescriptorProto{all}
	made, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return made.Messages().ByName("All")
}

func mapEntry(after int32, key, value descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.DescriptorProto {
	field := func(name string, n int32, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(n), Type: typ.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	v := field("value", 2, value)
	if of != "" {
		v.TypeName = proto.String(of)
	}
	return &descriptorpb.DescriptorProto{
		Name: proto.String(fmt.Sprintf("Map%dEntry", after+1)), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
		Field: []*descriptorpb.FieldDescriptorProto{field("key", 1, key), v},
	}
}

func mapField(number *int32) *descriptorpb.FieldDescriptorProto {
	*number++
	return &descriptorpb.FieldDescriptorProto{
		Name: proto.String(fmt.Sprintf("map%d", *number)), Number: proto.Int32(*number), Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
		TypeName: proto.String(fmt.Sprintf(".e.All.Map%dEntry", *number)), Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
	}
}

// fill sets about half of the fields to something at random.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if r.IntN(2) == 0 || depth > 2 && f.Message() != nil {
			continue
		}
		switch {
		case f.IsMap():
			for range r.IntN(4) {
				k, entries := pick(r, f.MapKey()), m.Mutable(f).Map()
				if f.MapValue().Message() != nil {
					fillMessage(r, entries.Mutable(k.MapKey()).Message(), depth+1)
				} else {
					entries.Set(k.MapKey(), pick(r, f.MapValue()))
				}
			}
		case f.IsList():
			for range r.IntN(4) {
				if f.Message() != nil {
					fillMessage(r, m.Mutable(f).List().AppendMutable().Message(), depth+1)
				} else {
					m.Mutable(f).List().Append(pick(r, f))
				}
			}
		case f.Message() != nil:
			fillMessage(r, m.Mutable(f).Message(), depth+1)
		default:
			m.Set(f, pick(r, f))
		}
	}
}

func fillMessage(r *rand.Rand, m protoreflect.Message, depth int) {
	var known proto.Message
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		nanos := []int32{0, 5, 120_000_000, 1_000, 999_999_999, 1_000_000}
		known = &timestamppb.Timestamp{Seconds: r.Int64N(250_000_000_000) - 60_000_000_000, Nanos: nanos[r.IntN(len(nanos))]}
	case "google.protobuf.Duration":
		known = &durationpb.Duration{Seconds: r.Int64N(1000), Nanos: r.Int32N(1e9)}
	case "google.protobuf.Value":
		known, _ = structpb.NewValue([]any{nil, true, "a\u2028<b>", 1.5, map[string]any{"b": 1, "a": []any{}}}[r.IntN(5)])
	default:
		fill(r, m, depth)
		return
	}
	wire, _ := proto.Marshal(known)
	_ = proto.Unmarshal(wire, m.Interface())
}

func pick(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	floats := []float64{0, math.Copysign(0, -1), 1, -2.5, 1e-7, 123456789, 1e21, 3e-300, math.Inf(1), math.Inf(-1), math.NaN(), 0.1}
	texts := []string{"", "a", "é€😀", "<a href='x'>&", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "\u2028", "zz"}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(5)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(r.Uint32()) >> r.IntN(32))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(r.Uint32() >> r.IntN(32))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(r.Uint64()) >> r.IntN(64))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(r.Uint64() >> r.IntN(64))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(floats[r.IntN(len(floats))]))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(floats[r.IntN(len(floats))])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(texts[r.IntN(len(texts))]))
	}
	return protoreflect.ValueOfString(texts[r.IntN(len(texts))])
}

var reference = protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}

func TestEncoderWritesWhatProtojsonWrites(t *testing.T) {
	desc, e := everything(t), new(encoder)
	for seed := range uint64(400) {
		m := dynamicpb.NewMessage(desc)
		if seed > 0 {
			fill(rand.New(rand.NewPCG(seed, 1)), m, 0)
		}
		text, err := reference.Marshal(m)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, text); err != nil {
			t.Fatal(err)
		}
		got, err := e.answer(nil, m)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("seed %d: %v\n got %s\nwant %s", seed, err, got, want.Bytes())
		}
	}
}

func TestEncoderRepairsText(t *testing.T) {
	if got := appendString(nil, "a\xffb\xc3"); string(got) != "\"a\ufffdb\ufffd\"" {
		t.Errorf("%s", got)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\x00\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil || back != string([]rune(s)) {
			t.Errorf("%q came back as %q, %v", s, back, err)
		}
	})
}

func FuzzMalformed(f *testing.F) {
	f.Add([]byte("{\"a\":[1,{\"b\":\n\"é\"}],\"c\""), 2, 3)
	f.Add([]byte("]"), 1, 1)
	f.Fuzz(func(t *testing.T, data []byte, line, column int) {
		at := offsetOf(data, min(line, 100), min(column, 1000))
		if at < 0 || at > len(data) {
			t.Errorf("offset %d of %d", at, len(data))
		}
		fieldAt(data, at)
	})
}

func benchmarkMessage(b *testing.B) proto.Message {
	m := dynamicpb.NewMessage(everything(b))
	fill(rand.New(rand.NewPCG(7, 1)), m, 1)
	return m
}

func BenchmarkEncode(b *testing.B) {
	m, e := benchmarkMessage(b), new(encoder)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out, _ = e.answer(out[:0], m)
	}
}

func BenchmarkProtojson(b *testing.B) {
	m := benchmarkMessage(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = reference.Marshal(m)
	}
}
