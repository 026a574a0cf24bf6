package backup

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// Bounds of one part of a table.
const (
	partBytes = 8 << 20  // of rows, before they are compressed
	lineMax   = 64 << 20 // of one row
)

// appendRow writes a row as a line of JSON: null, numbers, strings; a blob in base64. Text that is no UTF-8, which JSON
// cannot have, is {"base64": …}, and a number that JSON cannot have is a string.
func appendRow(to []byte, row tables.Row, kinds []tables.Column) ([]byte, error) {
	to = append(to, '[')
	for i, v := range row {
		if i > 0 {
			to = append(to, ',')
		}
		var err error
		if to, err = appendValue(to, v); err != nil {
			return nil, fmt.Errorf("column %s: %w", kinds[i].Name, err)
		}
	}
	return append(to, ']', '\n'), nil
}

func appendValue(to []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(to, "null"...), nil
	case int64:
		return strconv.AppendInt(to, v, 10), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.AppendQuote(to, strconv.FormatFloat(v, 'g', -1, 64)), nil
		}
		return strconv.AppendFloat(to, v, 'g', -1, 64), nil
	case []byte:
		return append(base64.StdEncoding.AppendEncode(append(to, '"'), v), '"'), nil
	case string:
		if !utf8.ValidString(v) {
			to = append(to, `{"base64":"`...)
			return append(base64.StdEncoding.AppendEncode(to, []byte(v)), `"}`...), nil
		}
		text, err := json.Marshal(v)
		return append(to, text...), err
	}
	return nil, fmt.Errorf("a %T cannot be written", v)
}

// readRow reads what appendRow wrote.
func readRow(line []byte, columns []tables.Column) (tables.Row, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil {
		return nil, err
	}
	if len(raw) != len(columns) {
		return nil, fmt.Errorf("a row has %d columns, not %d", len(raw), len(columns))
	}
	row := make(tables.Row, len(columns))
	for i, c := range columns {
		v, err := readValue(raw[i], c.Kind)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		row[i] = v
	}
	return row, nil
}

func readValue(raw json.RawMessage, kind tables.Kind) (any, error) {
	if bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	switch kind {
	case tables.Integer:
		return strconv.ParseInt(string(raw), 10, 64)
	case tables.Real:
		return strconv.ParseFloat(string(bytes.Trim(raw, `"`)), 64)
	case tables.Blob:
		b := []byte{}
		err := json.Unmarshal(raw, &b)
		return b, err
	}
	if len(raw) > 0 && raw[0] == '{' {
		var odd struct{ Base64 []byte }
		err := json.Unmarshal(raw, &odd)
		return string(odd.Base64), err
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}

// compress makes a part of lines.
func compress(lines []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(lines, nil), w.Close()
}

// eachRow reads a part.
func eachRow(part []byte, columns []tables.Column, fn func(tables.Row) error) error {
	r, err := zstd.NewReader(bytes.NewReader(part), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		row, err := readRow(lines.Bytes(), columns)
		if err != nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return lines.Err()
}
