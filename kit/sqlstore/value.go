package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"time"
)

// Value makes an argument of a statement nil, bool, string, []byte, int64 or float64. Reflection is only for named types.
func Value(arg any) (driver.Value, error) {
	switch v := arg.(type) {
	case nil, string, []byte, int64, float64, bool:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case time.Time:
		return v.UnixMicro(), nil
	case driver.Valuer:
		inner, err := v.Value()
		if err != nil {
			return nil, err
		}
		return Value(inner)
	}
	return valueByKind(reflect.ValueOf(arg))
}

func valueByKind(v reflect.Value) (driver.Value, error) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil, nil
	case v.Kind() == reflect.Pointer:
		return Value(v.Elem().Interface())
	case v.Kind() == reflect.String:
		return v.String(), nil
	case v.CanInt():
		return v.Int(), nil
	case v.CanUint() && v.Uint() < 1<<63:
		return int64(v.Uint()), nil
	case v.CanFloat():
		return v.Float(), nil
	case v.Kind() == reflect.Bool:
		return v.Bool(), nil
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return v.Bytes(), nil
	}
	return nil, fmt.Errorf("an argument of type %s cannot be stored", v.Type())
}

// assign copies a column to where dest points.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *[]byte:
		return assignBytes(d, v)
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok {
			*d = int(n)
			return nil
		}
	case *bool:
		if n, ok := v.(int64); ok {
			*d = n != 0
			return nil
		}
	case *time.Time:
		if n, ok := v.(int64); ok {
			*d = time.UnixMicro(n).UTC()
			return nil
		}
	case *any:
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	return assignByKind(reflect.ValueOf(dest), v)
}

// assignBytes hands the driver's own copy over.
func assignBytes(d *[]byte, v driver.Value) error {
	switch v := v.(type) {
	case []byte:
		*d = v
	case string:
		*d = []byte(v)
	case nil:
		*d = nil
	default:
		return fmt.Errorf("%T does not fit []byte", v)
	}
	return nil
}

func assignByKind(dest reflect.Value, v driver.Value) error {
	if dest.Kind() != reflect.Pointer || dest.IsNil() {
		return fmt.Errorf("%s is not a pointer to a variable", dest.Type())
	}
	to := dest.Elem()
	if to.Kind() == reflect.Pointer {
		return assignPointer(to, v)
	}
	if assignKind(to, v) {
		return nil
	}
	if v == nil {
		return fmt.Errorf("NULL does not fit %s", to.Type())
	}
	return fmt.Errorf("%T does not fit %s", v, to.Type())
}

func assignPointer(to reflect.Value, v driver.Value) error {
	if v == nil {
		to.SetZero()
		return nil
	}
	fresh := reflect.New(to.Type().Elem())
	if err := assign(fresh.Interface(), v); err != nil {
		return err
	}
	to.Set(fresh)
	return nil
}

// assignKind serves named types and the rarer numbers, and refuses a number that would lose digits.
func assignKind(to reflect.Value, v driver.Value) bool {
	switch v := v.(type) {
	case string:
		return assignText(to, v)
	case int64:
		return assignInt(to, v)
	case float64:
		if to.CanFloat() {
			to.SetFloat(v)
			return true
		}
	case []byte:
		return assignBlob(to, v)
	}
	return false
}

func assignText(to reflect.Value, v string) bool {
	if to.Kind() != reflect.String {
		return false
	}
	to.SetString(v)
	return true
}

func assignInt(to reflect.Value, v int64) bool {
	switch {
	case to.CanInt() && !to.OverflowInt(v):
		to.SetInt(v)
	case to.CanUint() && v >= 0 && !to.OverflowUint(uint64(v)):
		to.SetUint(uint64(v))
	case to.CanFloat():
		to.SetFloat(float64(v))
	case to.Kind() == reflect.Bool:
		to.SetBool(v != 0)
	default:
		return false
	}
	return true
}

// assignBlob fits named byte slices and byte arrays of just that length, such as a digest.
func assignBlob(to reflect.Value, v []byte) bool {
	switch {
	case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8:
		to.SetBytes(v)
	case to.Kind() == reflect.Array && to.Type().Elem().Kind() == reflect.Uint8 && to.Len() == len(v):
		reflect.Copy(to, reflect.ValueOf(v))
	case to.Kind() == reflect.String:
		to.SetString(string(v))
	default:
		return false
	}
	return true
}
