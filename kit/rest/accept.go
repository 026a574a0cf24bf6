package rest

import (
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
)

// ContentCSV is the media type by which a client asks for a list as CSV.
const ContentCSV = "text/csv"

// paramFormat is the query parameter that says the same to whom headers are
// hard to set: format=csv. No list has a field of that name; tools/gen sees to it.
const paramFormat = "format"

// asksCSV tells whether a GET asks for CSV: by its query, which is an order, or
// by its Accept header, which is a preference that holds where there is a list.
func asksCSV(r *http.Request) (asks, ordered bool, refusal *problem.Error) {
	if strings.Contains(r.URL.RawQuery, paramFormat+"=") {
		switch values := r.URL.Query()[paramFormat]; {
		case len(values) == 1 && values[0] == "csv":
			return true, true, nil
		case len(values) == 1 && values[0] == "json":
			return false, false, nil
		case len(values) > 0:
			return false, false, problem.Field(paramFormat, "wrong_value", "must be json or csv")
		}
	}
	return prefersCSV(r.Header["Accept"]), false, nil
}

// prefersCSV reads Accept (RFC 9110, 12.5.1): CSV must be named, and come
// before JSON where both are.
func prefersCSV(lines []string) bool {
	accept := strings.ToLower(joined(lines))
	if !strings.Contains(accept, ContentCSV) {
		return false // nearly all
	}
	csv, json, others := -1.0, -1.0, -1.0
	for element := range strings.SplitSeq(accept, ",") {
		kind, quality := weighed(element)
		switch kind {
		case ContentCSV:
			csv = quality
		case contentJSON[0]:
			json = quality
		case "*/*":
			others = quality
		}
	}
	return csv > 0 && csv > json && csv >= others
}

// weighed is one element of an Accept header; "" when it cannot be read.
func weighed(element string) (kind string, quality float64) {
	kind, params, err := mime.ParseMediaType(element)
	if err != nil {
		return "", 0
	}
	q, has := params["q"]
	if !has {
		return kind, 1
	}
	quality, err = strconv.ParseFloat(q, 64)
	if err != nil || quality < 0 || quality > 1 {
		return "", 0
	}
	return kind, quality
}

// pageQuery is the query of one page: the client's own but for the format, the
// cursor and, unless the client said it, the size.
type pageQuery struct {
	values url.Values
	sized  bool // by the client
}

func newPageQuery(r *http.Request) *pageQuery {
	q := &pageQuery{values: r.URL.Query()}
	q.values.Del(paramFormat)
	q.sized = q.values.Has("page_size") || q.values.Has("pageSize")
	return q
}

// size asks for so many rows a page; 0 leaves it to the method.
func (q *pageQuery) size(n int) {
	if n > 0 {
		q.values.Set("page_size", strconv.Itoa(n))
	} else {
		q.values.Del("page_size")
	}
}

// after goes on behind a page.
func (q *pageQuery) after(token string) {
	q.values.Del("pageToken")
	q.values.Set("page_token", token)
}
