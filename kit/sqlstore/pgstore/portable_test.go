package pgstore

import (
	"math"
	"reflect"
	"testing"
)

func TestPortableSQLBecomesPostgreSQLs(t *testing.T) {
	for from, want := range map[string]string{
		"SELECT a FROM t WHERE b = ? AND c > ? LIMIT ?":            "SELECT a FROM t WHERE b = $1 AND c > $2 LIMIT $3",
		"SELECT '?', \"?\", 'it''s ?' FROM t -- why?\nWHERE a = ?": "SELECT '?', \"?\", 'it''s ?' FROM t -- why?\nWHERE a = $1",
		"SELECT /* ? */ ?": "SELECT /* ? */ $1",
		"CREATE TABLE t (a INTEGER, b REAL, c BLOB, d TEXT NOT NULL)":          "CREATE TABLE t (a BIGINT, b DOUBLE PRECISION, c BYTEA, d TEXT COLLATE \"C\" NOT NULL)",
		"-- it's TEXT\nCREATE TABLE t (d TEXT); INSERT INTO t VALUES ('TEXT')": "-- it's TEXT\nCREATE TABLE t (d TEXT COLLATE \"C\"); INSERT INTO t VALUES ('TEXT')",
		"ALTER TABLE t ADD COLUMN e TEXT NOT NULL DEFAULT ''":                  "ALTER TABLE t ADD COLUMN e TEXT COLLATE \"C\" NOT NULL DEFAULT ''",
		"SELECT CAST(a AS INTEGER), CAST(b AS TEXT), CAST(? AS BLOB)":          "SELECT CAST(a AS BIGINT), CAST(b AS TEXT), CAST($1 AS BYTEA)",
		"INSERT INTO t (text, INTEGERS) VALUES (?, 'INTEGER')":                 "INSERT INTO t (text, INTEGERS) VALUES ($1, 'INTEGER')",
		"SELECT 'never ends": "SELECT 'never ends",
	} {
		if got := portable(from); got != want {
			t.Errorf("%s\n\tbecame %s\n\tnot    %s", from, got, want)
		}
	}
}

func FuzzPortableSQLNeverLosesText(f *testing.F) {
	f.Add("SELECT '?' -- \n/* ? */ ?")
	f.Fuzz(func(t *testing.T, query string) {
		if got := portable(query); len(got) < len(query) {
			t.Errorf("%q became %q", query, got)
		}
	})
}

func TestColumnsAreReadAsSQLiteGivesThem(t *testing.T) {
	long, _, _ := encode(int64(math.MinInt64), int8Type)
	real, _, _ := encode(1.5, float8Type)
	for name, c := range map[string]struct {
		bytes []byte
		oid   uint32
		want  any
	}{
		"NULL":                 {nil, int8Type, nil},
		"a bigint":             {long, int8Type, int64(math.MinInt64)},
		"an integer":           {[]byte{255, 255, 255, 254}, int4Type, int64(-2)},
		"a smallint":           {[]byte{255, 254}, int2Type, int64(-2)},
		"true":                 {[]byte{1}, boolType, int64(1)},
		"a double":             {real, float8Type, 1.5},
		"a real":               {[]byte{0x3f, 0xc0, 0, 0}, float4Type, 1.5},
		"bytes":                {[]byte{0, 255}, byteaType, []byte{0, 255}},
		"no bytes":             {[]byte{}, byteaType, []byte{}},
		"text":                 {[]byte("héllo"), textType, "héllo"},
		"a literal":            {[]byte("héllo"), unknownType, "héllo"},
		"a sum":                {[]byte("9223372036854775807"), numericType, int64(math.MaxInt64)},
		"an average":           {[]byte("2.5000000000000000"), numericType, 2.5},
		"what is not a number": {[]byte("Infinity"), numericType, math.Inf(1)},
	} {
		got, err := decode(c.bytes, c.oid)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is %v (%T), not %v: %v", name, got, got, c.want, err)
		}
	}
	if _, err := decode([]byte("9223372036854775808"), numericType); err == nil {
		t.Error("a sum beyond 64 bits was read")
	}
}

func TestArgumentsAreWrittenAsTheServerTakesThem(t *testing.T) {
	for name, c := range map[string]struct {
		arg    any
		oid    uint32
		want   string
		format int16
	}{
		"a number for a bigint":   {int64(258), int8Type, "\x00\x00\x00\x00\x00\x00\x01\x02", asBinary},
		"a number for an integer": {int64(258), int4Type, "258", asText},
		"a number for text":       {int64(258), textType, "258", asText},
		"a number for a boolean":  {int64(2), boolType, "\x01", asBinary},
		"true for a bigint":       {true, int8Type, "\x00\x00\x00\x00\x00\x00\x00\x01", asBinary},
		"false for a boolean":     {false, boolType, "\x00", asBinary},
		"a fraction for numeric":  {0.1, numericType, "0.1", asText},
		"text for bytes":          {`a\b`, byteaType, `a\b`, asBinary},
		"bytes for text":          {[]byte("ab"), textType, "ab", asText},
	} {
		got, format, err := encode(c.arg, c.oid)
		if err != nil || string(got) != c.want || format != c.format {
			t.Errorf("%s is %q in format %d, not %q: %v", name, got, format, c.want, err)
		}
	}
	if _, _, err := encode(int64(1), byteaType); err == nil {
		t.Error("a number was taken for bytes")
	}
}
