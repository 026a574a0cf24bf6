package wire

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/catalog/product"
	"github.com/seed-21071466/souk/services/catalog/view"
)

func productIn(p *catalogv1.Product) product.Product {
	in := product.Product{
		ID: p.GetId(), Handle: p.GetHandle(), Title: p.GetTitle(), Description: p.GetDescription(),
		Status: p.GetStatus(), CategoryIDs: p.GetCategoryIds(), TaxClass: p.GetTaxClass(), Metadata: p.GetMetadata(),
	}
	for _, o := range p.GetOptions() {
		in.Options = append(in.Options, product.Option{Name: o.GetName(), Values: o.GetValues()})
	}
	for _, v := range p.GetVariants() {
		in.Variants = append(in.Variants, product.Variant{
			SKU: v.GetSku(), Options: v.GetOptions(), WeightGrams: v.GetWeightGrams(), EAN: v.GetEan(),
		})
	}
	for _, m := range p.GetMedia() {
		in.Media = append(in.Media, product.Media{URL: m.GetUrl(), Alt: m.GetAlt()})
	}
	for name, a := range p.GetAttributes() {
		if in.Attributes == nil {
			in.Attributes = make(map[string]product.Attribute, len(p.GetAttributes()))
		}
		in.Attributes[name] = attributeIn(a)
	}
	return in
}

func attributeIn(a *catalogv1.Attribute) product.Attribute {
	switch value := a.GetValue().(type) {
	case *catalogv1.Attribute_Text:
		return product.Attribute{Text: &value.Text}
	case *catalogv1.Attribute_Number:
		return product.Attribute{Number: &value.Number}
	case *catalogv1.Attribute_Flag:
		return product.Attribute{Flag: &value.Flag}
	}
	return product.Attribute{}
}

func productOut(p product.Product) *catalogv1.Product {
	out := &catalogv1.Product{
		Id: p.ID, Handle: p.Handle, Title: p.Title, Description: p.Description, Status: p.Status,
		CategoryIds: p.CategoryIDs, TaxClass: p.TaxClass, Metadata: p.Metadata,
		Version: p.Version, UpdatedAt: timestamppb.New(p.UpdatedAt),
	}
	for _, o := range p.Options {
		out.Options = append(out.Options, &catalogv1.Option{Name: o.Name, Values: o.Values})
	}
	for _, v := range p.Variants {
		out.Variants = append(out.Variants, &catalogv1.Variant{
			Sku: v.SKU, Options: v.Options, WeightGrams: v.WeightGrams, Ean: v.EAN,
		})
	}
	for _, m := range p.Media {
		out.Media = append(out.Media, &catalogv1.Media{Url: m.URL, Alt: m.Alt})
	}
	for name, a := range p.Attributes {
		if out.Attributes == nil {
			out.Attributes = make(map[string]*catalogv1.Attribute, len(p.Attributes))
		}
		out.Attributes[name] = attributeOut(a)
	}
	return out
}

func attributeOut(a product.Attribute) *catalogv1.Attribute {
	switch {
	case a.Text != nil:
		return &catalogv1.Attribute{Value: &catalogv1.Attribute_Text{Text: *a.Text}}
	case a.Number != nil:
		return &catalogv1.Attribute{Value: &catalogv1.Attribute_Number{Number: *a.Number}}
	}
	return &catalogv1.Attribute{Value: &catalogv1.Attribute_Flag{Flag: a.Flag != nil && *a.Flag}}
}

func summaryOut(l view.Listed, locale string, stale bool) *catalogv1.ProductSummary {
	return &catalogv1.ProductSummary{
		Id: l.ID, Handle: l.Summary.Handle, Title: l.Summary.Title.In(locale), ImageUrl: l.Summary.ImageURL,
		Sku: l.Summary.SKU, VariantCount: l.Summary.Variants, Price: moneyOut(l.Price),
		Available: pieces(l.Available), InStock: l.InStock, Stale: stale,
	}
}

func offersOut(offers []view.Offer) []*catalogv1.Offer {
	out := make([]*catalogv1.Offer, len(offers))
	for i, o := range offers {
		out[i] = &catalogv1.Offer{Sku: o.SKU, Price: moneyOut(o.Price), Available: pieces(o.Available), Backorder: o.Backorder}
	}
	return out
}

func moneyOut(m *money.Money) *typev1.Money {
	if m == nil {
		return nil
	}
	return protomoney.From(*m)
}

// pieces fits a sum over variants into the contract's 32 bits.
func pieces(n int64) int32 { return int32(min(n, 1<<31-1)) }

func categoryOut(k product.Category) *catalogv1.Category {
	return &catalogv1.Category{Id: k.ID, ParentId: k.ParentID, Title: k.Title, Position: k.Position, Path: k.Path}
}
