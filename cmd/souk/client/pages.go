package client

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
)

// PagesMax bounds one walk through a list.
const PagesMax = 1_000_000

// Cursor is the part that all pages of lists share; embed it in a page's type.
type Cursor struct {
	NextPageToken string `json:"next_page_token"`
}

// Next is the token of the page after this one, "" at the end.
func (c Cursor) Next() string { return c.NextPageToken }

// Page is one page of a list with its own token.
type Page[P any] struct {
	Token string // asks for this page again; "" for the first
	Rows  P
}

// Pages walks a list from the page with that token, "" for the first, to its end. The walk ends with the first error.
func Pages[P interface{ Next() string }](ctx context.Context, c *Client, path string, query url.Values, token string) iter.Seq2[Page[P], error] {
	return func(yield func(Page[P], error) bool) {
		asked := maps.Clone(query)
		if asked == nil {
			asked = url.Values{}
		}
		for range PagesMax {
			page := Page[P]{Token: token}
			if token != "" {
				asked.Set("page_token", token)
			}
			err := c.Get(ctx, path, asked, &page.Rows)
			if err == nil && page.Rows.Next() == token && token != "" {
				err = fmt.Errorf("GET %s: the page after %q is that page itself", path, token)
			}
			if !yield(page, err) || err != nil || page.Rows.Next() == "" {
				return
			}
			token = page.Rows.Next()
		}
		yield(Page[P]{}, fmt.Errorf("GET %s: the list has more than %d pages", path, PagesMax))
	}
}
