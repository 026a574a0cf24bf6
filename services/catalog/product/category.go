package product

import (
	"strings"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
)

// DepthMax bounds how deep categories nest.
const DepthMax = 10

// Category is a shelf; it may stand in another.
type Category struct {
	ID       string
	ParentID string // empty at the top
	Title    Texts
	Position int32  // among its siblings
	Path     string // ids from the top down to it, joined by "/"; given by Placed
}

// NormaliseCategory gives a category its one written form and refuses one that
// breaks a rule, naming every field at fault.
func NormaliseCategory(k Category) (Category, error) {
	k.Title = k.Title.normalise()
	c := &checker{}
	if !id.Valid(k.ID) {
		c.refuse("id", "not_an_id", `an id is 1 to 64 letters, digits, "_", "-" and "."`)
	}
	if k.ParentID != "" && !id.Valid(k.ParentID) {
		c.refuse("parent_id", "not_an_id", "this cannot be the id of a category")
	}
	if len(k.Title) == 0 {
		c.refuse("title", "required", `a category has a title in at least one language, such as {"en": "Mugs"}`)
	}
	k.Title.check(c, "title", TitleCharsMax)
	return k, c.err()
}

// Placed puts a category below its parent, "" for the top. height is how many
// levels of categories already stand below it, 0 for none.
func (k Category) Placed(parentPath string, height int) (Category, error) {
	k.Path = k.ID
	if parentPath != "" {
		k.Path = parentPath + "/" + k.ID
	}
	switch {
	case Below(parentPath, k.ID):
		return k, problem.Field("parent_id", "category_cycle", "a category cannot stand below itself")
	case strings.Count(k.Path, "/")+1+height > DepthMax:
		return k, problem.Field("parent_id", "too_deep", "categories nest at most ten deep")
	}
	return k, nil
}

// Below says that the category of that path is the named one or stands below it.
func Below(path, category string) bool {
	for step := range strings.SplitSeq(path, "/") {
		if step == category {
			return true
		}
	}
	return false
}

// Ancestors are the ids on a path, from the top down, the last one its own.
func Ancestors(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
