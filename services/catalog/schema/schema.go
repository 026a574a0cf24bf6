// Package schema is the catalog's tables.
package schema

import (
	"embed"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

//go:embed *.sql
var files embed.FS

// Schema is the catalog's own share of its store.
func Schema() sqlstore.Schema { return sqlstore.Schema{Name: "catalog", Files: files} }
