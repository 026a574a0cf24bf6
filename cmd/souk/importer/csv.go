package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// required are the columns without which there is nothing to sell.
var required = []string{"sku", "title"}

// columns are all that mean something, beside "attr:NAME".
var columns = []string{"sku", "title", "description", "price", "currency", "stock", "weight_grams", "category", "ean", "image_url"}

// attributeColumn begins the name of a column that holds an attribute.
const attributeColumn = "attr:"

// columnsMax bounds how many columns a file has.
const columnsMax = 500

// csvRows reads RFC 4180 with commas, semicolons or tabs, line ends of either
// kind, and quotes within unquoted fields taken as they stand (12" ruler).
type csvRows struct {
	in     *window
	comma  byte
	header []string // "" for a column that means nothing
	fields []string
}

func openCSV(in *window) (*csvRows, []string, error) {
	c := &csvRows{in: in}
	n, tooLong, err := in.lineEnd()
	if err != nil {
		return nil, nil, err
	}
	if tooLong {
		return nil, nil, fmt.Errorf("the first line is longer than %d bytes: is this a CSV file?", RecordMax)
	}
	c.comma = separator(in.bytes()[:n])
	n, how, err := c.record()
	if err != nil {
		return nil, nil, err
	}
	if how != complete || !utf8.Valid(in.bytes()[:n]) {
		return nil, nil, fmt.Errorf("the first line is no header: it must name the columns, such as %s", strings.Join(columns, ","))
	}
	in.take(n)
	notes, err := c.readHeader()
	return c, notes, err
}

// separator is the one that the header uses most; a comma when it has one column.
func separator(header []byte) byte {
	best := byte(',')
	for _, candidate := range []byte{';', '\t'} {
		if bytes.Count(header, []byte{candidate}) > bytes.Count(header, []byte{best}) {
			best = candidate
		}
	}
	return best
}

// readHeader takes the names of the columns; those that mean nothing are noted.
func (c *csvRows) readHeader() (notes []string, err error) {
	if len(c.fields) > columnsMax {
		return nil, fmt.Errorf("the header has %d columns, at most %d are read", len(c.fields), columnsMax)
	}
	c.header = make([]string, len(c.fields))
	var strange []string
	for i, field := range c.fields {
		name := strings.TrimSpace(field)
		plain := strings.ReplaceAll(strings.ToLower(name), " ", "_")
		switch {
		case slices.Contains(c.header, plain) && slices.Contains(columns, plain):
			return nil, fmt.Errorf("the column %q stands twice", plain)
		case slices.Contains(columns, plain):
			c.header[i] = plain
		case len(name) > len(attributeColumn) && strings.EqualFold(name[:len(attributeColumn)], attributeColumn):
			c.header[i] = attributeColumn + name[len(attributeColumn):]
		default:
			strange = append(strange, name)
		}
	}
	if err := missing(c.header, strange); err != nil {
		return nil, err
	}
	for _, name := range strange {
		notes = append(notes, ignored(name))
	}
	return notes, nil
}

// missing names the required columns that are not there and those that were perhaps meant.
func missing(header, strange []string) error {
	var faults []string
	for _, name := range required {
		if slices.Contains(header, name) {
			continue
		}
		fault := `the column "` + name + `" is missing`
		if near := nearest(name, strange); near != "" {
			fault += fmt.Sprintf("; did you mean it by %q?", near)
		}
		faults = append(faults, fault)
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; ") + "; the columns are " + strings.Join(columns, ", ") + " and attr:NAME")
}

func ignored(name string) string {
	note := fmt.Sprintf("the column %q is not read", name)
	if near := nearest(strings.ToLower(name), columns); near != "" {
		note += fmt.Sprintf("; did you mean %q?", near)
	}
	return note
}

// next is the next row that is not blank.
func (c *csvRows) next() (row, error) {
	for {
		n, how, err := c.record()
		if err != nil {
			return row{}, err
		}
		if n == 0 && how == complete {
			return row{}, io.EOF
		}
		if how == complete && blank(c.fields) {
			c.in.take(n)
			continue
		}
		return c.row(n, how)
	}
}

// blank is a row as spreadsheets leave behind a table: ",,,".
func blank(fields []string) bool {
	return !slices.ContainsFunc(fields, func(field string) bool { return strings.TrimSpace(field) != "" })
}

// row makes a row of a record. One whose quotes are at fault ends with its
// first line, so that the fault costs one line and not the rest of the file.
func (c *csvRows) row(n int, how state) (row, error) {
	if how == complete && len(c.fields) != len(c.header) && bytes.IndexByte(c.in.bytes()[:n-1], '\n') >= 0 {
		how = broken // a quote that was not meant to open ran on into other rows
	}
	if how != complete {
		return c.brokenRow()
	}
	r := row{line: c.in.line, size: n, raw: clip(c.in.bytes()[:n])}
	switch {
	case !utf8.Valid(c.in.bytes()[:n]):
		r.refuse("not_utf8", "the row is not valid UTF-8")
	case len(c.fields) != len(c.header):
		r.refuse("wrong_field_count", fmt.Sprintf("the row has %d fields and the header %d; a field that contains the separator must be quoted",
			len(c.fields), len(c.header)))
	default:
		c.fill(&r)
	}
	c.in.take(n)
	return r, nil
}

func (c *csvRows) brokenRow() (row, error) {
	n, tooLong, err := c.in.lineEnd()
	if err != nil {
		return row{}, err
	}
	r := row{line: c.in.line, size: n, raw: clip(c.in.bytes()[:n])}
	if tooLong {
		r.refuse("row_too_long", fmt.Sprintf("the row is longer than %d bytes", RecordMax))
		return r, c.in.skipLine()
	}
	r.refuse("broken_quotes", `a quote does not close, or text follows it; write "" for a quote within quotes`)
	c.in.take(n)
	return r, nil
}

func (c *csvRows) fill(r *row) {
	f := flat{attributes: map[string]string{}}
	for i, name := range c.header {
		value := strings.TrimSpace(c.fields[i])
		if attribute, ok := strings.CutPrefix(name, attributeColumn); ok {
			if value != "" {
				f.attributes[attribute] = value
			}
			continue
		}
		f.set(name, value)
	}
	f.fill(r)
}

// state is how the reading of a record ended.
type state uint8

const (
	complete state = iota
	partial        // the record goes on beyond what was read
	broken         // its quotes are at fault
)

// record reads one record into c.fields and gives its bytes with the line end.
func (c *csvRows) record() (n int, how state, err error) {
	for {
		n, how = c.parse(c.in.bytes(), c.in.ended)
		if how != partial {
			return n, how, nil
		}
		grown, err := c.in.more()
		if err != nil {
			return 0, how, err
		}
		if !grown && !c.in.ended {
			return 0, broken, nil // as long as a row may be, and no end
		}
	}
}

// parse reads one record; last says that nothing follows what b holds.
func (c *csvRows) parse(b []byte, last bool) (n int, how state) {
	c.fields = c.fields[:0]
	for i := 0; ; {
		var field string
		if i < len(b) && b[i] == '"' {
			field, i, how = quoted(b, i+1, last)
		} else {
			field, i, how = c.plain(b, i, last)
		}
		if how != complete {
			return 0, how
		}
		c.fields = append(c.fields, field)
		switch {
		case i == len(b):
			return i, complete
		case b[i] == c.comma:
			i++
			if i == len(b) && !last {
				return 0, partial
			}
		case b[i] == '\n':
			return i + 1, complete
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			return i + 2, complete
		case b[i] == '\r' && i+1 == len(b) && last:
			return i + 1, complete
		default:
			return 0, broken
		}
	}
}

// plain reads a field without quotes up to a separator or the line's end.
func (c *csvRows) plain(b []byte, i int, last bool) (field string, next int, how state) {
	for next = i; next < len(b) && b[next] != c.comma && b[next] != '\n'; next++ {
	}
	if next == len(b) && !last {
		return "", next, partial
	}
	if next > i && b[next-1] == '\r' && (next == len(b) || b[next] == '\n') {
		next--
	}
	return string(b[i:next]), next, complete
}

// quoted reads a field from behind its opening quote; "" within is one quote.
func quoted(b []byte, i int, last bool) (field string, next int, how state) {
	var text []byte
	for {
		at := bytes.IndexByte(b[i:], '"')
		if at < 0 {
			if last {
				return "", len(b), broken
			}
			return "", len(b), partial
		}
		text = append(text, b[i:i+at]...)
		i += at + 1
		if i == len(b) && !last || i+1 == len(b) && b[i] == '\r' && !last {
			return "", len(b), partial
		}
		if i == len(b) || b[i] != '"' {
			return strings.ReplaceAll(string(text), "\r\n", "\n"), i, complete
		}
		text = append(text, '"')
		i++
	}
}
