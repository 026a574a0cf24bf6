package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// object is any JSON object; encoding/json sorts its keys, so the document
// comes out the same every time.
type object = map[string]any

// openapi asks the plugin for one document a contract, merges them and adds
// what the contracts do not say: problems, credentials, the idempotency key.
func (p *plugins) openapi(ctx context.Context, c *contracts, routes []route) (string, error) {
	files, err := p.run(ctx, "protoc-gen-openapiv3", "disable_default_errors=true", c.own, snakeCase(c.files))
	if err != nil {
		return "", err
	}
	doc := frame()
	for _, f := range files {
		var part object
		if err := json.Unmarshal([]byte(f.GetContent()), &part); err != nil {
			return "", fmt.Errorf("read %s: %w", f.GetName(), err)
		}
		if err := merge(doc, part); err != nil {
			return "", fmt.Errorf("merge %s: %w", f.GetName(), err)
		}
	}
	for _, r := range routes {
		if op, ok := operation(doc, r); ok {
			describe(op, r)
		}
	}
	return indentJSON(doc)
}

// snakeCase gives every field its own name in JSON: that is what kit/rest
// writes, and the plugin reads json_name only.
func snakeCase(files []*descriptorpb.FileDescriptorProto) []*descriptorpb.FileDescriptorProto {
	out := make([]*descriptorpb.FileDescriptorProto, len(files))
	for i, f := range files {
		out[i] = proto.CloneOf(f)
		for _, m := range out[i].MessageType {
			rename(m)
		}
	}
	return out
}

func rename(m *descriptorpb.DescriptorProto) {
	for _, f := range m.Field {
		f.JsonName = f.Name
	}
	for _, inner := range m.NestedType {
		rename(inner)
	}
}

// merge adds the paths, tags and schemas of one contract to the document.
func merge(doc, part object) error {
	paths := doc["paths"].(object)
	for path, item := range sub(part, "paths") {
		if paths[path] == nil {
			paths[path] = object{}
		}
		maps.Copy(paths[path].(object), item.(object))
	}
	schemas := doc["components"].(object)["schemas"].(object)
	for name, schema := range sub(sub(part, "components"), "schemas") {
		if before, ok := schemas[name]; ok && !sameJSON(before, schema) {
			return fmt.Errorf("schema %s is described in two ways", name)
		}
		schemas[name] = schema
	}
	if tags, ok := part["tags"].([]any); ok {
		doc["tags"] = append(doc["tags"].([]any), tags...)
	}
	return nil
}

func sub(o object, key string) object {
	inner, _ := o[key].(object)
	return inner
}

func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// operation finds the operation of a route. The document writes a wildcard
// {name=…} as {name}.
func operation(doc object, r route) (object, bool) {
	path := r.Path
	for {
		before, rest, ok := strings.Cut(path, "=")
		if !ok {
			break
		}
		_, after, _ := strings.Cut(rest, "}")
		path = before + "}" + after
	}
	op, ok := sub(sub(doc, "paths"), path)[strings.ToLower(r.Method)].(object)
	return op, ok
}

// describe adds to one operation what its rule says.
func describe(op object, r route) {
	responses, ok := op["responses"].(object)
	if !ok {
		responses = object{}
		op["responses"] = responses
	}
	responses["default"] = object{"$ref": "#/components/responses/Problem"}
	op["x-access"] = r.Access
	switch r.Access {
	case "public":
		op["security"] = []any{object{}, object{"bearer": []any{}}}
	default:
		op["security"] = []any{object{"bearer": []any{}}}
	}
	if r.IdempotencyKey {
		addParameter(op, "IdempotencyKey")
	}
	if r.Scope != "" {
		op["x-souk-scope"] = r.Scope
		addText(op, "Needs a staff key with the scope `"+r.Scope+"`; without it the answer is 403 `scope_required`.")
	}
	if r.CSV {
		addParameter(op, "Format")
		addCSV(responses)
		addText(op, "As CSV, asked for by `format=csv` or `Accept: text/csv`, it is the whole list from `page_token` on, in one file.")
	}
}

func addParameter(op object, name string) {
	params, _ := op["parameters"].([]any)
	op["parameters"] = slices.Concat(params, []any{object{"$ref": "#/components/parameters/" + name}})
}

func addText(op object, text string) {
	before, _ := op["description"].(string)
	op["description"] = strings.TrimSpace(before + "\n\n" + text)
}

// addCSV adds the second form of a list to every answer that has the first.
func addCSV(responses object) {
	for _, r := range responses {
		response, _ := r.(object)
		if content := sub(response, "content"); content["application/json"] != nil {
			content["text/csv"] = object{"schema": object{"$ref": "#/components/schemas/CSV"}}
		}
	}
}

// indentJSON writes JSON for people: two spaces, keys sorted, no escapes.
func indentJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encode JSON: %w", err)
	}
	return b.String(), nil
}
