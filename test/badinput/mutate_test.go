package badinput

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// bad is one thing that is wrong with a request.
type bad struct {
	what  string // a sentence's beginning: "prices[0].sku is a number"
	field string // the field at fault, "" when the request as a whole is
	body  string
}

// The bounds that are overstepped.
const (
	longText  = 100_000 // characters
	longList  = 10_001  // elements
	deepness  = 20_000  // brackets
	marker    = "@@here@@"
	bodyLimit = 1 << 20 // bytes, of all routes but batches
	batchMax  = 16 << 20
)

// A node is a place in a good body.
type node struct {
	path  string // "prices[0].price.amount"
	value any
	put   func(any)
	inMap bool // its key is the client's own, as a locale is
}

// maps are fields whose keys are the client's own.
var maps = []string{"title", "description", "metadata", "attributes", "variants[0].options", "options"}

// nodes lists every place of a body.
func nodes(root any, visit func(node)) { walk("", root, false, func(any) {}, visit) }

func walk(path string, value any, inMap bool, put func(any), visit func(node)) {
	visit(node{path, value, put, inMap})
	switch v := value.(type) {
	case map[string]any:
		own := isMap(path, value)
		for name, inner := range v {
			walk(strings.TrimPrefix(path+"."+name, "."), inner, own, func(x any) { v[name] = x }, visit)
		}
	case []any:
		for i, inner := range v {
			walk(fmt.Sprintf("%s[%d]", path, i), inner, false, func(x any) { v[i] = x }, visit)
		}
	}
}

func isMap(path string, value any) bool {
	last := path[strings.LastIndexByte(path, '.')+1:]
	_, object := value.(map[string]any)
	return object && slices.Contains(maps, last)
}

// mutations are the bad bodies that a good one gives.
func mutations(c call) (all []bad) {
	if c.body == "" {
		return nil
	}
	var root any
	d := json.NewDecoder(strings.NewReader(c.body))
	d.UseNumber()
	if err := d.Decode(&root); err != nil {
		panic(fmt.Sprint(c.route, ": ", err))
	}
	nodes(root, func(n node) {
		if n.path == "" {
			return
		}
		for what, text := range wrongs(n, c) {
			was := n.value
			n.put(marker)
			field := n.path
			if strings.HasPrefix(what, "has half") {
				field = "" // the text ends there for the reader
			}
			all = append(all, bad{n.path + " " + what, field, strings.Replace(written(root), `"`+marker+`"`, text, 1)})
			n.put(was)
		}
	})
	for _, path := range strings.Fields(c.required) {
		all = append(all, bad{path + " is missing", path, without(c.body, path)})
	}
	for _, variable := range variables.FindAllStringSubmatch(c.route, -1) {
		name := variable[1]
		other := strings.Replace(c.body, "{", `{"`+name+`": "other-`+name+`", `, 1)
		if root.(map[string]any)[name] == nil {
			all = append(all, bad{name + " is not what the path says", name, other})
		}
	}
	return append(all, whole(c.body)...)
}

// variables are those of a route, by the last of their names: "id" of {product.id}.
var variables = regexp.MustCompile(`\{(?:\w+\.)*(\w+)\}`)

func written(v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // it was decoded a moment ago
	}
	return strings.TrimSpace(out.String())
}

// without is the body with one member taken out.
func without(body, path string) string {
	var root any
	if err := json.Unmarshal([]byte(body), &root); err != nil {
		panic(err)
	}
	nodes(root, func(n node) {
		if object, ok := n.value.(map[string]any); ok {
			prefix := strings.TrimPrefix(n.path+".", ".")
			if name, under := strings.CutPrefix(path, prefix); under {
				delete(object, name)
			}
		}
	})
	return written(root)
}

// wrongs are JSON texts that must be refused at a place, by what is wrong with them.
func wrongs(n node, c call) map[string]string {
	name := n.path[strings.LastIndexByte(n.path, '.')+1:]
	is := map[string]string{"is nested without end": strings.Repeat("[", deepness) + strings.Repeat("]", deepness)}
	if !strings.HasSuffix(name, "]") && !n.inMap {
		is["is there twice"] = written(n.value) + `,"` + name + `":` + written(n.value)
	}
	switch v := n.value.(type) {
	case string:
		is["is an object"], is["is a number"], is["is a list"], is["is true"] = `{"a": 1}`, `7`, `["a"]`, `true`
		is["is longer than anything"] = `"` + strings.Repeat("x", longText) + `"`
		is["has a nul byte"], is["is no UTF-8"], is["has half a surrogate pair"] = `"a\u0000b"`, "\"a\xff\xfeb\"", `"\ud800"`
		ofText(name, v, is)
	case json.Number:
		is["is a word"], is["is an object"], is["is a list"] = `"many"`, `{}`, `[1]`
		if strings.Contains(v.String(), ".") {
			is["is beyond all numbers"] = `1e999`
			break
		}
		is["is a fraction"], is["is beyond 32 bits"], is["is beyond all numbers"] = `1.5`, `2147483648`, `1e999`
		is["is far below zero"], is["is beyond 64 bits"] = `-2147483649`, `99999999999999999999`
		if !slices.Contains(strings.Fields(c.free), n.path) {
			is["is below zero"] = `-1`
		}
	case bool:
		is["is a word"], is["is a number"] = `"maybe"`, `1`
	case map[string]any:
		is["is a word"], is["is a list"], is["is a number"] = `"x"`, `[1]`, `7`
		if !isMap(n.path, v) {
			is["has a field that nobody knows"] = strings.TrimSuffix(written(v), "}") + `,"surprise":1}`
		} else {
			is["has ten thousand entries"] = crowded(v)
		}
	case []any:
		is["is a word"], is["is an object"], is["is a number"], is["has a null in it"] = `"x"`, `{}`, `7`, `[null]`
		is["has ten thousand elements"] = "[" + strings.Repeat(written(v[0])+",", longList) + written(v[0]) + "]"
	}
	return is
}

// ofText are wrong values of texts with a form of their own.
func ofText(name, is string, wrong map[string]string) {
	switch name {
	case "amount":
		for what, amount := range map[string]string{
			"has excess digits": "1.234", "is negative": "-1.00", "has an exponent": "1e3", "has a comma": "1,00", "is not a number": "NaN",
			"is empty": "", "is more than there is": "99999999999999999999.00", "has spaces": " 1.00", "is hexadecimal": "0x10", "is signed": "+1.00",
		} {
			wrong[what] = `"` + amount + `"`
		}
	case "currency":
		wrong["does not exist"], wrong["is in small letters"], wrong["is half a code"] = `"ZZZ"`, `"gbp"`, `"G"`
	case "country", "default_country":
		wrong["is three letters"], wrong["is digits"] = `"GBR"`, `"12"`
	case "email":
		wrong["has no host"], wrong["has a line break"] = `"john"`, `"john@example.com\r\nBcc: all@example.com"`
	case "rate":
		wrong["is negative"], wrong["has seven digits"], wrong["is a word"] = `"-0.2"`, `"0.1234567"`, `"a fifth"`
	case "valid_from", "valid_until", "at", "sold_at", "received_at", "dispatched_at":
		wrong["is no time"], wrong["is a date that is not"] = `"yesterday"`, `"2026-02-30T00:00:00Z"`
		if name != "valid_from" && name != "valid_until" {
			wrong["is still to come"] = `"2999-01-01T00:00:00Z"`
		}
	case "url":
		wrong["is no address"], wrong["is of another scheme"], wrong["has no host"] = `"hook"`, `"file:///etc/passwd"`, `"http:///hook"`
	case "sku", "id", "cart_id", "location_id", "channel", "tax_class", "option_id", "kind", "action", "status", "subject_id":
		wrong["has a slash"], wrong["is code"] = `"a/../b"`, `"' OR 1=1 --"`
	case "events[0]":
		wrong["is nothing that happens"] = `"order.eaten"`
	}
}

// crowded is a map with its first value under ten thousand keys.
func crowded(m map[string]any) string {
	var out strings.Builder
	for _, value := range m {
		for i := range longList {
			fmt.Fprintf(&out, `,"k%d":%s`, i, written(value))
		}
		break
	}
	return "{" + out.String()[1:] + "}"
}

// whole are bodies that are wrong as a whole.
func whole(body string) []bad {
	return []bad{
		{"a body that breaks off", "", body[:len(body)*2/3]},
		{"a body that is a list", "", "[" + body + "]"},
		{"a body that is a text", "", `"hello"`},
		{"two bodies", "", body + body},
		{"a body that is XML", "", "<order/>"},
		{"a body with a field that nobody knows", "surprise", strings.TrimSuffix(strings.TrimSpace(body), "}") + `, "surprise": 1}`},
		{"a body of open brackets", "", strings.Repeat(`{"a":`, deepness)},
		{"a body in UTF-16", "", "\xff\xfe{\x00}\x00"},
	}
}
