package product

// Summary is what a list shows of a product, apart from price and stock.
type Summary struct {
	Handle   string `json:"handle"`
	Title    Texts  `json:"title"`
	ImageURL string `json:"image_url,omitempty"`
	SKU      string `json:"sku"`
	Variants int32  `json:"variants"`
}

// Summarise picks what a list shows.
func (p Product) Summarise() Summary {
	s := Summary{Handle: p.Handle, Title: p.Title, SKU: p.Variants[0].SKU, Variants: int32(len(p.Variants))}
	if len(p.Media) > 0 {
		s.ImageURL = p.Media[0].URL
	}
	return s
}
