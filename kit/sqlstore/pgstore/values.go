package pgstore

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Types of PostgreSQL that a room's SQL can come to, by their fixed numbers in pg_type.
const (
	boolType    = 16
	byteaType   = 17
	int8Type    = 20
	int2Type    = 21
	int4Type    = 23
	textType    = 25
	float4Type  = 700
	float8Type  = 701
	unknownType = 705
	bpcharType  = 1042
	varcharType = 1043
	numericType = 1700
)

// Formats of the protocol.
const (
	asText   int16 = 0
	asBinary int16 = 1
)

// formatOf is how a column travels: a numeric, and what is not listed, as text.
func formatOf(oid uint32) int16 {
	switch oid {
	case boolType, byteaType, int8Type, int2Type, int4Type, float4Type, float8Type, textType, varcharType, bpcharType:
		return asBinary
	}
	return asText
}

// encode writes an argument as the type that the server takes it for, with SQLite's latitude: a bool is 0 or 1, and text
// may hold a number.
func encode(v driver.Value, oid uint32) (bytes []byte, format int16, err error) {
	switch v := v.(type) {
	case nil:
		return nil, asText, nil
	case int64:
		return encodeInt(v, oid)
	case bool:
		if oid == boolType {
			return []byte{bit(v)}, asBinary, nil
		}
		return encodeInt(int64(bit(v)), oid)
	case float64:
		if oid == float8Type {
			return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)), asBinary, nil
		}
		return strconv.AppendFloat(nil, v, 'g', -1, 64), asText, nil
	case string:
		if oid == byteaType {
			return []byte(v), asBinary, nil
		}
		return []byte(v), asText, nil
	case []byte:
		if v == nil {
			return nil, asText, nil
		}
		if oid == byteaType {
			return v, asBinary, nil
		}
		return v, asText, nil
	}
	return nil, 0, fmt.Errorf("an argument of type %T cannot be stored", v)
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func encodeInt(v int64, oid uint32) ([]byte, int16, error) {
	switch oid {
	case int8Type:
		return binary.BigEndian.AppendUint64(nil, uint64(v)), asBinary, nil
	case boolType:
		return []byte{bit(v != 0)}, asBinary, nil
	case byteaType:
		return nil, 0, fmt.Errorf("a number, %d, cannot be stored as bytes", v)
	}
	return strconv.AppendInt(nil, v, 10), asText, nil // the server says when it does not fit
}

// decode reads a column as SQLite would give it: whole numbers and bools as int64, a numeric without a fraction too.
func decode(b []byte, oid uint32) (driver.Value, error) {
	if b == nil {
		return nil, nil
	}
	switch oid {
	case int8Type:
		return int64(binary.BigEndian.Uint64(b)), nil
	case int4Type:
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case int2Type:
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case boolType:
		return int64(b[0]), nil
	case float8Type:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case float4Type:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	case byteaType:
		return append([]byte{}, b...), nil
	case numericType:
		return decodeNumeric(string(b))
	}
	return string(b), nil
}

// decodeNumeric is for sum() of whole numbers, which PostgreSQL makes a numeric lest it overflow, and for avg().
func decodeNumeric(text string) (driver.Value, error) {
	if !strings.ContainsAny(text, ".NI") { // a fraction, NaN, Infinity
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read number %s: it does not fit 64 bits", text)
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("read number %s: %w", text, err)
	}
	return f, nil
}
