package wire

import (
	"encoding/base64"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/catalog/view"
)

// tokenMax bounds a page token: a sort key and an id, in base 64.
const tokenMax = 400

// token is a cursor as clients hand it back; its form is ours to change.
func token(c *view.Cursor) string {
	if c == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(c.SortTitle + "\x00" + c.ProductID))
}

func cursor(token string) (view.Cursor, error) {
	if token == "" {
		return view.Cursor{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	title, id, found := strings.Cut(string(text), "\x00")
	if err != nil || !found || len(token) > tokenMax {
		return view.Cursor{}, badToken()
	}
	return view.Cursor{SortTitle: title, ProductID: id}, nil
}

func badToken() error {
	return problem.Field("page_token", "bad_page_token", "hand back the next_page_token of the page before, as it was")
}

// pageSize is the asked size, standard when none is, within 1 to most.
func pageSize(asked int32, standard, most int) (int, error) {
	switch {
	case asked == 0:
		return standard, nil
	case asked < 0 || int(asked) > most:
		return 0, problem.Newf(problem.Invalid, "invalid_request", "page_size: must be 1 to %d", most).
			On("page_size", "out_of_range", "too small or too large")
	}
	return int(asked), nil
}
