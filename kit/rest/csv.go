package rest

import (
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// nestedMax is how many messages within messages become columns; what lies
// deeper, or within itself, is one cell of JSON.
const nestedMax = 4

// sheet is what is known of a list before any page of it is seen: where its
// rows are, and what columns they have.
type sheet struct {
	rows    protoreflect.FieldDescriptor
	next    protoreflect.FieldDescriptor // the cursor of the next page
	columns []column
}

// column is one field of a row: a cell, or the cells of a message within it.
type column struct {
	desc     protoreflect.FieldDescriptor
	presence bool
	inner    []column // of a message; nil: one cell
	cell     func(out []byte, v protoreflect.Value) ([]byte, error)
	width    int // cells
}

// sheetOf is the sheet of a method, nil when its answer is no list. A list's
// answer has one repeated message and next_page_token; its request has
// page_size and page_token.
func (m *Mux) sheetOf(method string) *sheet {
	if known, ok := m.sheets.Load(method); ok {
		return known.(*sheet)
	}
	var made *sheet
	if in, out := contractOf(method); in != nil && paged(in) {
		made = m.encoder.sheetOf(out)
	}
	known, _ := m.sheets.LoadOrStore(method, made)
	return known.(*sheet)
}

// contractOf finds request and answer of "/souk.orders.v1.Orders/ListOrders".
func contractOf(method string) (in, out protoreflect.MessageDescriptor) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, nil
	}
	if s, ok := found.(protoreflect.ServiceDescriptor); ok {
		if d := s.Methods().ByName(protoreflect.Name(name)); d != nil {
			return d.Input(), d.Output()
		}
	}
	return nil, nil
}

func paged(in protoreflect.MessageDescriptor) bool {
	size, token := in.Fields().ByName("page_size"), in.Fields().ByName("page_token")
	return size != nil && token != nil && token.Kind() == protoreflect.StringKind
}

func (e *encoder) sheetOf(out protoreflect.MessageDescriptor) *sheet {
	s := &sheet{next: out.Fields().ByName("next_page_token")}
	if s.next == nil || s.next.Kind() != protoreflect.StringKind {
		return nil
	}
	for i := range out.Fields().Len() {
		f := out.Fields().Get(i)
		if !f.IsList() || f.Message() == nil {
			continue
		}
		if s.rows != nil {
			return nil
		}
		s.rows = f
	}
	if s.rows == nil {
		return nil
	}
	s.columns = e.columnsOf(s.rows.Message(), nil)
	return s
}

// columnsOf lists the columns of a message; around are the messages that it lies in.
func (e *encoder) columnsOf(d protoreflect.MessageDescriptor, around []protoreflect.FullName) []column {
	around = append(around[:len(around):len(around)], d.FullName())
	var columns []column
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		c := column{desc: f, presence: f.HasPresence(), width: 1}
		if opens(f, around) {
			c.inner = e.columnsOf(f.Message(), around)
			c.width = 0
			for _, inner := range c.inner {
				c.width += inner.width
			}
		} else {
			c.cell = e.cellOf(f)
		}
		columns = append(columns, c)
	}
	return columns
}

// opens tells whether the message in a field becomes columns of its own.
func opens(f protoreflect.FieldDescriptor, around []protoreflect.FullName) bool {
	if f.IsList() || f.IsMap() || f.Message() == nil || f.Message().Fields().Len() == 0 || len(around) > nestedMax {
		return false
	}
	if f.Message().ParentFile().Package() == "google.protobuf" {
		return false
	}
	for _, name := range around {
		if name == f.Message().FullName() {
			return false
		}
	}
	return true
}

// cellOf writes one cell: texts as they are but for what a spreadsheet would
// take for a formula, lists, maps and closed messages as JSON, all others as
// JSON has them, without its quotes.
func (e *encoder) cellOf(f protoreflect.FieldDescriptor) func([]byte, protoreflect.Value) ([]byte, error) {
	if f.Kind() == protoreflect.StringKind && !f.IsList() && !f.IsMap() {
		return func(out []byte, v protoreflect.Value) ([]byte, error) { return appendText(out, v.String()), nil }
	}
	write := e.appenderOf(f)
	return func(out []byte, v protoreflect.Value) ([]byte, error) {
		begin := len(out)
		out, err := write(out, v)
		if err != nil {
			return out, err
		}
		written := out[begin:]
		if len(written) > 0 && written[0] == '"' {
			var text string
			if err := json.Unmarshal(written, &text); err != nil {
				return out, err
			}
			return appendText(out[:begin], text), nil
		}
		return appendCell(out[:begin], string(written)), nil
	}
}

// appendHeader writes the names of the columns: "total.amount" for the amount in a total.
func appendHeader(out []byte, prefix string, columns []column) []byte {
	for i := range columns {
		c := &columns[i]
		if i > 0 {
			out = append(out, ',')
		}
		if name := prefix + c.desc.TextName(); c.inner == nil {
			out = append(out, name...)
		} else {
			out = appendHeader(out, name+".", c.inner)
		}
	}
	return out
}

// appendRow writes the cells of one row; those of what is absent are empty.
func appendRow(out []byte, m protoreflect.Message, columns []column) (_ []byte, err error) {
	for i := range columns {
		c := &columns[i]
		if i > 0 {
			out = append(out, ',')
		}
		switch {
		case c.presence && !m.Has(c.desc):
			for range c.width - 1 {
				out = append(out, ',')
			}
		case c.inner != nil:
			out, err = appendRow(out, m.Get(c.desc).Message(), c.inner)
		default:
			out, err = c.cell(out, m.Get(c.desc))
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// endLine ends a line as RFC 4180 does. A line of one empty cell is quoted:
// readers skip blank lines.
func endLine(out []byte, begin int) []byte {
	if len(out) == begin {
		out = append(out, `""`...)
	}
	return append(out, '\r', '\n')
}

// appendText writes a text that somebody may have chosen on purpose: one that a
// spreadsheet would take for a formula gets an apostrophe before it, by which
// spreadsheets know a text. A number is left a number: an amount may be negative.
func appendText(out []byte, text string) []byte {
	if formula(text) {
		text = "'" + text
	}
	return appendCell(out, text)
}

// formulas begin what spreadsheets compute; the last four are full-width forms
// that some take for the first.
var formulas = []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"}

func formula(text string) bool {
	for _, begin := range formulas {
		if strings.HasPrefix(text, begin) {
			return !decimal(text)
		}
	}
	return false
}

// decimal tells whether a text is a plain number, "-12.34".
func decimal(text string) bool {
	whole, part, dotted := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	return digits(whole) && (!dotted || digits(part))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// appendCell writes a cell, quoted where RFC 4180 asks for it.
func appendCell(out []byte, text string) []byte {
	if !strings.ContainsAny(text, "\",\r\n") && !strings.HasPrefix(text, " ") && !strings.HasSuffix(text, " ") {
		return append(out, text...)
	}
	out = append(out, '"')
	for {
		before, after, more := strings.Cut(text, `"`)
		out = append(out, before...)
		if !more {
			return append(out, '"')
		}
		out = append(out, '"', '"')
		text = after
	}
}
