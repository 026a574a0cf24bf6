package wire

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

const (
	pageDefault  = 20
	pageMax      = 100
	salesDefault = 100
	salesMax     = 500
)

// The words of the states that lists can be asked for.
var (
	orderStates      = []string{"pending", "confirmed", "canceling", "canceled", "rejected"}
	paymentStates    = []string{"none", "unknown", "authorized", "declined", "voided", "partly_captured", "captured", "payment_due", "partly_refunded", "refunded"}
	fulfilmentStates = []string{"none", "partly_dispatched", "dispatched", "partly_returned", "returned"}
	returnStates     = []string{"open", "received", "closed"}
)

// ListOrders lists orders, newest sale first.
func (s *Server) ListOrders(ctx context.Context, req *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	filter := view.Filter{
		State: req.State, PaymentState: req.PaymentState, FulfilmentState: req.FulfilmentState,
		SubjectID: req.SubjectId, Country: req.Country, Reference: req.Reference,
	}
	limit, after, err := readList(&filter, req.Since, req.Until, req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	res := &ordersv1.ListOrdersResponse{}
	if p := auth.From(ctx); !p.Staff() {
		if filter.CartID = p.ID; p.ID == "" { // a cart's token sees the orders of its cart; an order's own sees none here
			return res, nil
		}
	}
	rows, err := s.Orders.List(ctx, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		res.NextPageToken = markToken(rows[limit-1].Mark())
	}
	for i := range rows {
		res.Orders = append(res.Orders, summaryMessage(&rows[i]))
	}
	return res, nil
}

// isCountry tells whether this may be a country's code, or none.
func isCountry(code string) bool {
	return code == "" || len(code) == 2 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// readList reads what lists of orders have in common.
func readList(f *view.Filter, since, until string, size int32, token string) (limit int, after view.Mark, err error) {
	if !isCountry(f.Country) {
		return 0, after, problem.Field("country", "malformed", "an ISO 3166-1 alpha-2 code such as GB")
	}
	for _, c := range [...]struct {
		field, value string
		allowed      []string
	}{
		{"state", f.State, orderStates},
		{"payment_state", f.PaymentState, paymentStates},
		{"fulfilment_state", f.FulfilmentState, fulfilmentStates},
	} {
		if err := oneOf(c.field, c.value, c.allowed...); err != nil {
			return 0, after, err
		}
	}
	if f.Days, err = daysOf(since, until); err != nil {
		return 0, after, err
	}
	return marked(size, token)
}

func summaryMessage(r *view.Row) *ordersv1.OrderSummary {
	return &ordersv1.OrderSummary{
		Id: r.OrderID, State: r.State, Total: protomoney.Minor(r.Total, r.Currency), Quantity: r.Quantity,
		PlacedAt: timestamp(r.PlacedAt), SubjectId: r.SubjectID, Reference: r.Reference, Day: r.Day, Country: r.Country,
		PaymentState: r.PaymentState, FulfilmentState: r.FulfilmentState,
		Captured: protomoney.Minor(r.Captured, r.Currency), Refunded: protomoney.Minor(r.Refunded, r.Currency), Rejection: r.Rejection,
	}
}

// ListOrderLines lists the lines of orders, the newest order first. A page ends early when its orders have many lines.
func (s *Server) ListOrderLines(ctx context.Context, req *ordersv1.ListOrderLinesRequest) (*ordersv1.ListOrderLinesResponse, error) {
	filter := view.Filter{State: req.State, SubjectID: req.SubjectId, Country: req.Country}
	limit, after, err := readList(&filter, req.Since, req.Until, req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	page, more, err := s.Orders.Lines(ctx, filter, after, limit)
	if err != nil {
		return nil, err
	}
	res := &ordersv1.ListOrderLinesResponse{}
	for i := range page {
		r, o := &page[i].Row, &page[i].Order
		for k := range o.Lines {
			res.Lines = append(res.Lines, &ordersv1.ExportedLine{
				OrderId: r.OrderID, Reference: r.Reference, State: r.State, Day: r.Day, SubjectId: r.SubjectID, Country: r.Country,
				Line: LineMessage(o, k),
			})
		}
	}
	if more {
		res.NextPageToken = markToken(page[len(page)-1].Mark())
	}
	return res, nil
}

// ListReturns lists returns, newest first.
func (s *Server) ListReturns(ctx context.Context, req *ordersv1.ListReturnsRequest) (*ordersv1.ListReturnsResponse, error) {
	if err := oneOf("state", req.State, returnStates...); err != nil {
		return nil, err
	}
	limit, after, err := marked(req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	filter := view.ReturnFilter{State: req.State, SubjectID: req.SubjectId, Reference: req.Reference}
	rows, err := s.Orders.Returns(ctx, filter, after, limit+1)
	if err != nil {
		return nil, err
	}
	res := &ordersv1.ListReturnsResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		res.NextPageToken = markToken(rows[limit-1].Mark())
	}
	for i := range rows {
		res.Returns = append(res.Returns, listedReturn(&rows[i]))
	}
	return res, nil
}

func listedReturn(r *view.Return) *ordersv1.Return {
	o := order.Order{Placed: order.Placed{ID: r.OrderID, SubjectID: r.SubjectID, Currency: r.Currency}}
	m := ReturnMessage(&o, &r.Return)
	m.RefundId = r.RefundID
	return m
}

// ListSales lists sales by day and product, the newest day first.
func (s *Server) ListSales(ctx context.Context, req *ordersv1.ListSalesRequest) (*ordersv1.ListSalesResponse, error) {
	days, err := daysOf(req.Since, req.Until)
	if err != nil {
		return nil, err
	}
	return salesPage(req.PageSize, req.PageToken, func(after view.Sale, limit int) ([]view.Sale, error) {
		return s.Orders.Sales(ctx, days, req.Sku, after, limit)
	})
}

// ListDailySales lists sales by day, the newest first.
func (s *Server) ListDailySales(ctx context.Context, req *ordersv1.ListDailySalesRequest) (*ordersv1.ListSalesResponse, error) {
	days, err := daysOf(req.Since, req.Until)
	if err != nil {
		return nil, err
	}
	return salesPage(req.PageSize, req.PageToken, func(after view.Sale, limit int) ([]view.Sale, error) {
		return s.Orders.DailySales(ctx, days, after, limit)
	})
}

// ListProductSales lists all sales by product, in order of their SKUs.
func (s *Server) ListProductSales(ctx context.Context, req *ordersv1.ListProductSalesRequest) (*ordersv1.ListSalesResponse, error) {
	return salesPage(req.PageSize, req.PageToken, func(after view.Sale, limit int) ([]view.Sale, error) {
		return s.Orders.ProductSales(ctx, req.Sku, after, limit)
	})
}

// salesPage reads a page of rows after the one that the cursor names.
func salesPage(size int32, token string, read func(after view.Sale, limit int) ([]view.Sale, error)) (*ordersv1.ListSalesResponse, error) {
	limit, err := limitOf(size, salesDefault, salesMax)
	if err != nil {
		return nil, err
	}
	after, err := saleOf(token)
	if err != nil {
		return nil, err
	}
	rows, err := read(after, limit+1)
	if err != nil {
		return nil, err
	}
	res := &ordersv1.ListSalesResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		last := &rows[limit-1]
		res.NextPageToken = cursor(strings.Join([]string{last.Day, last.Currency, last.SKU}, " "))
	}
	for i := range rows {
		res.Sales = append(res.Sales, saleMessage(&rows[i]))
	}
	return res, nil
}

func saleMessage(r *view.Sale) *ordersv1.SalesRow {
	return &ordersv1.SalesRow{
		Day: r.Day, Sku: r.SKU, Orders: count(r.Orders), Sold: count(r.Sold), Returned: count(r.Returned),
		Revenue: protomoney.Minor(r.Revenue, r.Currency), Refunds: protomoney.Minor(r.Refunds, r.Currency),
		Net: protomoney.Minor(r.Revenue-r.Refunds, r.Currency),
	}
}

// count is a number that the contract keeps in 32 bits; one beyond them stays at their end.
func count(n int64) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }

// daysOf reads the days of a list.
func daysOf(since, until string) (d view.Days, err error) {
	if d.Since, err = view.ParseDay("since", since); err != nil {
		return d, err
	}
	d.Until, err = view.ParseDay("until", until)
	return d, err
}

// page reads the size and the cursor of a list that goes by ids or by numbers.
func page(size int32, token string, standard, most int) (limit int, after string, err error) {
	if limit, err = limitOf(size, standard, most); err != nil {
		return 0, "", err
	}
	decoded, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || token != "" && !id.Valid(string(decoded)) {
		return 0, "", badToken()
	}
	return limit, string(decoded), nil
}

func limitOf(size int32, standard, most int) (limit int, err error) {
	if limit = int(size); limit == 0 {
		limit = standard
	}
	if limit < 1 || limit > most {
		return 0, problem.Field("page_size", "out_of_range", fmt.Sprintf("1 to %d rows a page", most)).With("maximum", strconv.Itoa(most))
	}
	return limit, nil
}

// marked reads the size and the cursor of a list that goes by time and id.
func marked(size int32, token string) (limit int, after view.Mark, err error) {
	if limit, err = limitOf(size, pageDefault, pageMax); err != nil || token == "" {
		return limit, after, err
	}
	parts, err := split(token, 2)
	if err != nil {
		return 0, after, err
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || !id.Valid(parts[1]) {
		return 0, after, badToken()
	}
	return limit, view.Mark{At: at, ID: parts[1]}, nil
}

func markToken(m view.Mark) string { return cursor(strconv.FormatInt(m.At, 10) + " " + m.ID) }

// saleOf reads the cursor of a list of sales.
func saleOf(token string) (after view.Sale, err error) {
	if token == "" {
		return after, nil
	}
	parts, err := split(token, 3)
	if err != nil {
		return after, err
	}
	if _, err := view.ParseDay("page_token", parts[0]); err != nil {
		return after, badToken()
	}
	return view.Sale{Day: parts[0], Currency: parts[1], SKU: parts[2]}, nil
}

// split reads a cursor of so many parts; only the last may have spaces.
func split(token string, n int) ([]string, error) {
	decoded, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, badToken()
	}
	parts := strings.SplitN(string(decoded), " ", n)
	if len(parts) != n {
		return nil, badToken()
	}
	return parts, nil
}

func badToken() error {
	return problem.Field("page_token", "malformed", "use the next_page_token of the page before")
}

func cursor(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

func oneOf(field, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return problem.Field(field, "unknown", `must be one of "`+strings.Join(allowed, `", "`)+`"`)
}
