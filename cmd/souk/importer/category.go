package importer

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"
	"unicode"
)

const (
	categoriesMax   = 100_000 // that a shop may have
	depthMax        = 10      // levels of a path
	categoryIDMax   = 64
	categoryPage    = 500
	categorySlugMax = 40 // of one level; longer names are told apart by a hash
)

// categories are those that the shop has.
type categories struct{ known map[string]bool }

type categoryPageAnswer struct {
	Categories []struct {
		ID string `json:"id"`
	} `json:"categories"`
	NextPageToken string `json:"next_page_token"`
}

// knownCategories asks the shop for what it has, so that an import changes
// nothing that the merchant renamed or moved since.
func knownCategories(ctx context.Context, shop *Shop) (*categories, error) {
	k := &categories{known: make(map[string]bool)}
	for token := ""; ; {
		var page categoryPageAnswer
		path := fmt.Sprintf("/api/categories?page_size=%d&page_token=%s", categoryPage, url.QueryEscape(token))
		if err := shop.get(ctx, path, &page); err != nil {
			return nil, fmt.Errorf("list the categories: %w", err)
		}
		for _, category := range page.Categories {
			k.known[category.ID] = true
		}
		if token = page.NextPageToken; token == "" {
			return k, nil
		}
		if len(k.known) > categoriesMax {
			return nil, fmt.Errorf("the shop has more than %d categories", categoriesMax)
		}
	}
}

// shelve makes the categories of a row that the shop lacks and names them in
// its product. A category that the shop refuses costs the row.
func (r *run) shelve(ctx context.Context, next *row) error {
	for _, path := range next.category {
		id, err := r.category(ctx, path, next)
		if err != nil {
			return err
		}
		if id != "" {
			next.product.CategoryIDs = append(next.product.CategoryIDs, id)
		}
	}
	return nil
}

func (r *run) category(ctx context.Context, path string, next *row) (id string, err error) {
	names := strings.Split(path, ">")
	if len(names) > depthMax {
		next.refuse("category_too_deep", fmt.Sprintf("categories nest at most %d deep", depthMax))
		return "", nil
	}
	for _, name := range names {
		parent := id
		name = strings.Join(strings.Fields(name), " ")
		if name == "" {
			next.refuse("bad_category", `a category path is names between ">", such as "Kitchen > Mugs"`)
			return "", nil
		}
		if id = categoryID(parent, name); r.categories.known[id] {
			continue
		}
		body := map[string]any{"parent_id": parent, "title": map[string]string{localeOfFlat: name}}
		err := r.shop.put(ctx, "/api/categories/"+id, body, nil)
		if refused := refusalOf(err); refused != nil {
			next.refuse(refused.Code, "category "+name+": "+refused.Detail)
			return "", nil
		}
		if err != nil {
			return "", err
		}
		r.categories.known[id] = true
		r.count(func(s *Summary) { s.Categories++ })
	}
	return id, nil
}

// categoryID is the same for the same path in each run: the parent's and the
// name in small letters, with a hash where those would be too long or say too
// little.
func categoryID(parent, name string) string {
	id := slug(name)
	if len(id) > categorySlugMax || strings.Trim(id, "-") == "" || !plain(name) {
		id = strings.Trim(id[:min(len(id), categorySlugMax)]+"-"+hashText(name), "-")
	}
	if parent != "" {
		id = parent + "." + id
	}
	if len(id) > categoryIDMax {
		id = id[:categoryIDMax-9] + "-" + hashText(id)
	}
	return id
}

// plain says that the name loses no letter when it is made a slug.
func plain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) })
}

// slug keeps letters and digits of ASCII and joins them by hyphens.
func slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

func hashText(s string) string {
	h := fnv.New32a()
	h.Write([]byte(s))
	return fmt.Sprintf("%08x", h.Sum32())
}
