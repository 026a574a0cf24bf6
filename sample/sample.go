// Package sample is the catalogue with which a new shop can begin: 500 real
// products of a gift-ware shop. CREDIT.md says whose work it is and what was
// changed.
package sample

import (
	_ "embed" // for the catalogue
	"io"
	"strings"
)

// Name is what the catalogue is called in summaries and beside quarantined rows.
const Name = "online-retail.csv"

//go:embed online-retail.csv
var catalogue string

// Catalogue is the file as `souk import catalog` reads it.
func Catalogue() io.Reader { return strings.NewReader(catalogue) }
