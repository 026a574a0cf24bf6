// Package wire is the catalog's contracts: its service, the events that it
// publishes and those that it follows.
package wire

import (
	"context"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/catalog/app"
	"github.com/seed-21071466/souk/services/catalog/product"
	"github.com/seed-21071466/souk/services/catalog/view"
)

// The bounds of pages, as the contract states them.
const (
	pageDefault         = 20
	pageMax             = 100
	categoryPageDefault = 100
	categoryPageMax     = 500
	variantsMax         = 2000 // SKUs of one GetVariants
	localeMax           = 35   // bytes of a locale, as BCP 47 advises
)

// Server serves the contract.
type Server struct {
	catalogv1.UnimplementedCatalogServer
	Shop    string
	Catalog *app.Catalog
	View    *view.View
	Log     *eventlog.Log
	Bus     *bus.Bus // tells where the room's consumers stand
}

// Serve registers the service.
func Serve(at grpc.ServiceRegistrar, s *Server) { catalogv1.RegisterCatalogServer(at, s) }

// ServeREST serves the contract's REST over a connection of the front door.
func ServeREST(ctx context.Context, mux *runtime.ServeMux, edge grpc.ClientConnInterface) error {
	return catalogv1.RegisterCatalogHandlerClient(ctx, mux, catalogv1.NewCatalogClient(edge))
}

// ListProducts answers from what the front door kept as long as nothing that
// lists show has changed.
func (s *Server) ListProducts(ctx context.Context, r *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	tag := s.View.ListTag() // before the query, so that it never names less than it shows
	if rest.SetPublic(ctx, tag, view.Young) {
		return &catalogv1.ListProductsResponse{}, nil
	}
	q, err := listQuery(r)
	if err != nil {
		return nil, err
	}
	rows, next, err := s.View.Page(ctx, q)
	if err != nil {
		return nil, err
	}
	stale := s.View.Stale()
	out := &catalogv1.ListProductsResponse{Products: make([]*catalogv1.ProductSummary, len(rows)), NextPageToken: token(next)}
	for i, row := range rows {
		out.Products[i] = summaryOut(row, r.GetLocale(), stale)
	}
	return out, nil
}

func listQuery(r *catalogv1.ListProductsRequest) (q view.Query, err error) {
	if q.Size, err = pageSize(r.GetPageSize(), pageDefault, pageMax); err != nil {
		return q, err
	}
	if q.After, err = cursor(r.GetPageToken()); err != nil {
		return q, err
	}
	if len(r.GetLocale()) > localeMax {
		return q, problem.Field("locale", "not_a_locale", `a locale is a language and perhaps a region, such as "en" or "pt-BR"`)
	}
	if q.Category = r.GetCategoryId(); q.Category != "" && !id.Valid(q.Category) {
		return q, problem.Field("category_id", "not_an_id", "this cannot be the id of a category")
	}
	q.Channel, q.Currency, err = market(r.GetChannel(), r.GetCurrency())
	return q, err
}

// market is the channel and currency that prices are asked for.
func market(channel, currency string) (string, string, error) {
	if channel == "" {
		channel = view.ChannelDefault
	}
	if !id.Valid(channel) {
		return "", "", problem.Field("channel", "not_an_id", "this cannot be the id of a channel")
	}
	if _, known := money.Exponent(currency); currency != "" && !known {
		return "", "", problem.Field("currency", "unknown_currency", "a currency is a code of ISO 4217, such as GBP")
	}
	return channel, currency, nil
}

// GetProduct answers guests from what the front door kept; staff sees drafts
// too, and a tag that begins with the version that If-Match asks for.
func (s *Server) GetProduct(ctx context.Context, r *catalogv1.GetProductRequest) (*catalogv1.ProductDetail, error) {
	staff := auth.From(ctx).Staff()
	tag := s.View.DetailTag(r.GetId())
	if !staff && rest.SetPublic(ctx, tag, view.Young) {
		return &catalogv1.ProductDetail{}, nil
	}
	channel, currency, err := market(r.GetChannel(), r.GetCurrency())
	if err != nil {
		return nil, err
	}
	p, offers, err := s.View.Detail(ctx, r.GetId(), channel, currency, staff)
	if err != nil {
		return nil, err
	}
	if staff {
		rest.SetVersion(ctx, version(p)+"-"+tag)
	}
	return &catalogv1.ProductDetail{Product: productOut(p), Offers: offersOut(offers), Stale: s.View.Stale()}, nil
}

// PutProduct makes or replaces a product.
func (s *Server) PutProduct(ctx context.Context, r *catalogv1.PutProductRequest) (*catalogv1.Product, error) {
	guard, err := guardOf(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.Catalog.Put(ctx, s.by(ctx), productIn(r.GetProduct()), guard)
	if err != nil {
		return nil, err
	}
	rpc.SetETag(ctx, version(p))
	return productOut(p), nil
}

// PutProducts makes or replaces a batch.
func (s *Server) PutProducts(ctx context.Context, r *catalogv1.PutProductsRequest) (*catalogv1.PutProductsResponse, error) {
	sent := r.GetProducts()
	batch := make([]product.Product, min(len(sent), app.BatchMax+1)) // one too many is enough to be refused
	for i := range batch {
		batch[i] = productIn(sent[i])
	}
	results, err := s.Catalog.PutAll(ctx, s.by(ctx), batch)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.PutProductsResponse{Results: make([]*catalogv1.PutResult, len(results))}
	for i, result := range results {
		out.Results[i] = &catalogv1.PutResult{Id: result.ID, Outcome: string(result.Outcome)}
		if result.Refused != nil {
			out.Results[i].Outcome = "refused"
			out.Results[i].Code, out.Results[i].Message = result.Refused.Code, result.Refused.Message
		}
	}
	return out, nil
}

// ArchiveProduct takes a product off the shelf.
func (s *Server) ArchiveProduct(ctx context.Context, r *catalogv1.ArchiveProductRequest) (*catalogv1.Product, error) {
	p, err := s.Catalog.Archive(ctx, s.by(ctx), r.GetId())
	if err != nil {
		return nil, err
	}
	rpc.SetETag(ctx, version(p))
	return productOut(p), nil
}

// PutCategory makes or replaces a category.
func (s *Server) PutCategory(ctx context.Context, r *catalogv1.PutCategoryRequest) (*catalogv1.Category, error) {
	in := r.GetCategory()
	k, err := s.Catalog.PutCategory(ctx, product.Category{
		ID: in.GetId(), ParentID: in.GetParentId(), Title: in.GetTitle(), Position: in.GetPosition(),
	})
	if err != nil {
		return nil, err
	}
	return categoryOut(k), nil
}

// ListCategories lists categories by path.
func (s *Server) ListCategories(ctx context.Context, r *catalogv1.ListCategoriesRequest) (*catalogv1.ListCategoriesResponse, error) {
	size, err := pageSize(r.GetPageSize(), categoryPageDefault, categoryPageMax)
	if err != nil {
		return nil, err
	}
	after, err := cursor(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, more, err := s.View.Categories(ctx, after.SortTitle, size)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.ListCategoriesResponse{}
	for _, k := range found {
		out.Categories = append(out.Categories, categoryOut(k))
	}
	if more {
		out.NextPageToken = token(&view.Cursor{SortTitle: found[len(found)-1].Path})
	}
	return out, nil
}

// GetVariants reads what other rooms need of SKUs.
func (s *Server) GetVariants(ctx context.Context, r *catalogv1.GetVariantsRequest) (*catalogv1.GetVariantsResponse, error) {
	if len(r.GetSkus()) > variantsMax {
		return nil, problem.Field("skus", "too_many", "at most "+strconv.Itoa(variantsMax)+" are allowed")
	}
	found, err := s.View.Variants(ctx, r.GetSkus())
	if err != nil {
		return nil, err
	}
	out := &catalogv1.GetVariantsResponse{Variants: make([]*catalogv1.VariantInfo, len(found))}
	for i, v := range found {
		out.Variants[i] = &catalogv1.VariantInfo{
			Sku: v.SKU, ProductId: v.ProductID, Title: v.Title, WeightGrams: v.WeightGrams, TaxClass: v.TaxClass, Active: v.Active,
		}
	}
	return out, nil
}

// by says in the log who caused an event.
func (s *Server) by(ctx context.Context) eventlog.Meta {
	return eventlog.Meta{
		Shop: s.Shop, Actor: auth.From(ctx).String(), OnBehalfOf: rpc.OnBehalfOf(ctx), Correlation: rpc.RequestID(ctx),
		Trace: eventlog.TraceOf(ctx),
	}
}

func version(p product.Product) string { return strconv.Itoa(int(p.Version)) }

// guardOf is what If-Match expects: the version that a PUT or a staff's GET
// gave as the tag, or that and what follows it up to "-".
func guardOf(ctx context.Context) (guard app.Guard, err error) {
	sent := metadata.ValueFromIncomingContext(ctx, "if-match")
	if len(sent) == 0 {
		return guard, nil
	}
	guard.Exists = true
	tag := strings.Trim(strings.TrimPrefix(strings.TrimSpace(sent[0]), "W/"), `"`)
	if tag == "*" {
		return guard, nil
	}
	number, _, _ := strings.Cut(tag, "-")
	expected, err := strconv.ParseInt(number, 10, 32)
	if err != nil || expected < 1 {
		return guard, problem.Field("If-Match", "not_a_version", `send the ETag that a PUT or GET of this product answered staff, or its version, such as "3"`)
	}
	guard.Version = int32(expected)
	return guard, nil
}
