package verify

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// list is a list that comes in the order of its rows' places, and where its pages began when it was read whole: so that
// some rows can be read again without the rest.
type list struct {
	path  string
	rows  int // of a page, at most; pageRows when 0
	pages []bound
}

// query asks for the largest pages.
func (l *list) query() url.Values {
	if l.rows == 0 {
		return sized()
	}
	return url.Values{"page_size": {strconv.Itoa(l.rows)}}
}

// bound is where a page begins: after the last row of the page before.
type bound struct{ token, after string }

// pager is a page of a list.
type pager interface{ Next() string }

// taker takes the rows of a page that stand at wanted places. It says how many rows the page has and where the last one
// stands.
type taker[P pager] func(page *P, wanted func(place string) bool) (rows int, last string)

func everywhere(string) bool { return true }

// readAll reads a list whole.
func readAll[P pager](ctx context.Context, a *audit, l *list, name string, take taker[P]) error {
	read, after := 0, ""
	for page, err := range client.Pages[P](ctx, a.shop, l.path, l.query(), "") {
		if err != nil {
			return err
		}
		l.pages = append(l.pages, bound{page.Token, after})
		rows, last := take(&page.Rows, everywhere)
		if rows > 0 {
			after = last
		}
		read += rows
		a.options.Progress(name, read)
	}
	return nil
}

// readAgain reads the rows at some places again. Each is wanted in one walk only, however the pages have moved.
func readAgain[P pager](ctx context.Context, shop *client.Client, l *list, places []string, take taker[P]) error {
	places = slices.Sorted(slices.Values(places))
	for len(places) > 0 && len(l.pages) > 0 {
		from := l.pageOf(places[0])
		group := slices.IndexFunc(places, func(p string) bool { return l.pageOf(p) != from })
		if group < 0 {
			group = len(places)
		}
		if err := readUpTo(ctx, shop, l, l.pages[from].token, places[:group], take); err != nil {
			return err
		}
		places = places[group:]
	}
	return nil
}

// readUpTo reads pages from a token until one goes beyond the last of the places, which are sorted.
func readUpTo[P pager](ctx context.Context, shop *client.Client, l *list, token string, places []string, take taker[P]) error {
	wanted := func(place string) bool {
		_, found := slices.BinarySearch(places, place)
		return found
	}
	for page, err := range client.Pages[P](ctx, shop, l.path, l.query(), token) {
		if err != nil {
			return err
		}
		if _, last := take(&page.Rows, wanted); last > places[len(places)-1] {
			return nil
		}
	}
	return nil
}

// pageOf is the last page after whose beginning all rows of a place stand.
func (l *list) pageOf(place string) int {
	i, _ := slices.BinarySearchFunc(l.pages, place, func(at bound, place string) int {
		if at.after < place {
			return -1
		}
		return 1
	})
	return max(i-1, 0)
}
