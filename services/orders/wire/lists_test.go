package wire

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

var staff = auth.With(context.Background(), auth.Principal{Kind: auth.Staff, ID: "desk"})

// shop is a server whose lists show five orders of two lines each, a day apart, each dispatched, and its first piece back
// in a return.
func shop(t *testing.T) *Server {
	t.Helper()
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, filepath.Join(t.TempDir(), "orders.db"), sqlstore.Options{
		Schemas: append(app.Schemas(), projection.Schema()), Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	log, err := eventlog.New(store)
	must(t, err)
	source := view.Source{Store: store, Log: log, Shop: "shop"}
	rows, err := projection.New(ctx, store, log, source.Projection(), projection.Options{})
	must(t, err)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = rows.Run(ctx) }()
	t.Cleanup(func() { rows.Close(); <-ended; must(t, store.Close()) })
	must(t, store.Update(ctx, func(tx sqlstore.Tx) error {
		for n := 1; n <= 5; n++ {
			if err := buy(tx, log, n); err != nil {
				return err
			}
		}
		return nil
	}))
	return &Server{Orders: view.New(source, rows)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func buy(tx sqlstore.Tx, log *eventlog.Log, n int) error {
	at := noon.AddDate(0, 0, n)
	p := order.Placed{
		ID: fmt.Sprintf("ord_%d", n), CartID: fmt.Sprintf("crt_%d", n%2), SubjectID: "17850", Country: "FR", Currency: "GBP", Reference: fmt.Sprint(536365 + n),
		Lines:  []order.Line{{SKU: "85123A", Title: "HEART", Quantity: 6, UnitPrice: 255, Total: 1530}, {SKU: "71053", Title: "LANTERN", Quantity: 1, UnitPrice: 339, Total: 339}},
		Totals: order.Totals{Items: 1869, Total: 1869, TaxInclusive: true}, PlacedAt: noon, SoldAt: at,
	}
	back := []order.ReturnedLine{{Line: 1, SKU: "85123A", Quantity: 1, Refund: 255, WriteOff: true}}
	returnID := fmt.Sprintf("ret_%d", n)
	for _, e := range []struct {
		name  string
		event order.Event
	}{
		{"OrderPlaced", p},
		{"OrderConfirmed", order.ConfirmedEvent{At: at}},
		{"ParcelDispatched", order.Dispatched{ParcelID: "par", Pieces: []order.Piece{{Line: 1, Quantity: 6}, {Line: 2, Quantity: 1}}}},
		{"PaymentCaptured", order.Captured{ID: "cap_1", Amount: 1869}},
		{"ReturnOpened", order.ReturnOpened{ID: returnID, Lines: back, Reason: "broken", Reference: "C1", At: at}},
		{"ReturnReceived", order.ReturnReceived{ID: returnID, Lines: back, Refund: 255, At: at}},
		{"RefundRequested", order.RefundRequested{ID: "rfd_1", Amount: 255, ReturnID: returnID}},
		{"PaymentRefunded", order.Refunded{ID: "rfd_1", Amount: 255}},
	} {
		data, err := json.Marshal(e.event)
		if err != nil {
			return err
		}
		if _, err := log.Append(tx, p.ID, eventlog.Any, eventlog.Event{Type: e.name, Schema: 1, Data: data, Meta: eventlog.Meta{Time: noon}}); err != nil {
			return err
		}
	}
	return nil
}

func TestListsSayWhatAMerchantAsksFor(t *testing.T) {
	s := shop(t)
	on := noon.AddDate(0, 0, 5)
	orders, err := s.ListOrders(staff, &ordersv1.ListOrdersRequest{PageSize: 1})
	must(t, err)
	same(t, orders.Orders[0], &ordersv1.OrderSummary{
		Id: "ord_5", State: "confirmed", Total: gbp("18.69"), Quantity: 7, PlacedAt: timestamppb.New(noon), SubjectId: "17850", Reference: "536370",
		Day: "2026-11-28", Country: "FR", PaymentState: "partly_refunded", FulfilmentState: "partly_returned", Captured: gbp("18.69"), Refunded: gbp("2.55"),
	})
	lines, err := s.ListOrderLines(staff, &ordersv1.ListOrderLinesRequest{PageSize: 1})
	must(t, err)
	same(t, lines.Lines[0], &ordersv1.ExportedLine{
		OrderId: "ord_5", Reference: "536370", State: "confirmed", Day: "2026-11-28", SubjectId: "17850", Country: "FR",
		Line: &ordersv1.OrderLine{
			Number: 1, Sku: "85123A", Title: "HEART", Quantity: 6, UnitPrice: gbp("2.55"), Discount: gbp("0.00"), Tax: gbp("0.00"), Total: gbp("15.30"),
			Dispatched: 6, Returned: 1,
		},
	})
	returns, err := s.ListReturns(staff, &ordersv1.ListReturnsRequest{PageSize: 1})
	must(t, err)
	same(t, returns.Returns[0], &ordersv1.Return{
		Id: "ret_5", OrderId: "ord_5", State: "received", Refund: gbp("2.55"), RefundId: "rfd_1", Reason: "broken", Reference: "C1", SubjectId: "17850",
		OpenedAt: timestamppb.New(on), ReceivedAt: timestamppb.New(on),
		Lines: []*ordersv1.ReturnLine{{Line: 1, Sku: "85123A", Quantity: 1, WriteOff: true, Refund: gbp("2.55")}},
	})
	sales, err := s.ListSales(staff, &ordersv1.ListSalesRequest{Sku: "85123A", Since: "2026-11-28"})
	must(t, err)
	same(t, sales.Sales[0], &ordersv1.SalesRow{
		Day: "2026-11-28", Sku: "85123A", Orders: 1, Sold: 6, Revenue: gbp("15.30"), Returned: 1, Refunds: gbp("2.55"), Net: gbp("12.75"),
	})
	daily, err := s.ListDailySales(staff, &ordersv1.ListDailySalesRequest{Until: "2026-11-24"})
	must(t, err)
	same(t, daily.Sales[0], &ordersv1.SalesRow{Day: "2026-11-24", Orders: 1, Sold: 7, Revenue: gbp("18.69"), Returned: 1, Refunds: gbp("2.55"), Net: gbp("16.14")})
	products, err := s.ListProductSales(staff, &ordersv1.ListProductSalesRequest{Sku: "71053"})
	must(t, err)
	same(t, products.Sales[0], &ordersv1.SalesRow{Sku: "71053", Orders: 5, Sold: 5, Revenue: gbp("16.95"), Refunds: gbp("0.00"), Net: gbp("16.95")})
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// listed is what each list tells, page by page.
func listed(s *Server, ctx context.Context) map[string]func(size int32, token string) (rows []string, next string, err error) {
	sales := func(res *ordersv1.ListSalesResponse, err error) (rows []string, next string, _ error) {
		for _, r := range res.GetSales() {
			rows = append(rows, strings.TrimSpace(strings.TrimPrefix(r.Day, "2026-11-")+" "+r.Sku))
		}
		return rows, res.GetNextPageToken(), err
	}
	return map[string]func(size int32, token string) (rows []string, next string, err error){
		"orders": func(size int32, token string) (rows []string, _ string, _ error) {
			res, err := s.ListOrders(ctx, &ordersv1.ListOrdersRequest{PageSize: size, PageToken: token})
			for _, o := range res.GetOrders() {
				rows = append(rows, o.Id)
			}
			return rows, res.GetNextPageToken(), err
		},
		"order lines": func(size int32, token string) (rows []string, _ string, _ error) {
			res, err := s.ListOrderLines(ctx, &ordersv1.ListOrderLinesRequest{PageSize: size, PageToken: token})
			for _, l := range res.GetLines() {
				rows = append(rows, fmt.Sprint(l.OrderId, ".", l.Line.Number))
			}
			return rows, res.GetNextPageToken(), err
		},
		"returns": func(size int32, token string) (rows []string, _ string, _ error) {
			res, err := s.ListReturns(ctx, &ordersv1.ListReturnsRequest{PageSize: size, PageToken: token})
			for _, r := range res.GetReturns() {
				rows = append(rows, r.Id)
			}
			return rows, res.GetNextPageToken(), err
		},
		"sales": func(size int32, token string) ([]string, string, error) {
			return sales(s.ListSales(ctx, &ordersv1.ListSalesRequest{PageSize: size, PageToken: token}))
		},
		"daily sales": func(size int32, token string) ([]string, string, error) {
			return sales(s.ListDailySales(ctx, &ordersv1.ListDailySalesRequest{PageSize: size, PageToken: token}))
		},
		"product sales": func(size int32, token string) ([]string, string, error) {
			return sales(s.ListProductSales(ctx, &ordersv1.ListProductSalesRequest{PageSize: size, PageToken: token}))
		},
	}
}

func TestPagesOfAListJoinWithoutGapsOrRepeats(t *testing.T) {
	for name, read := range listed(shop(t), staff) {
		want := map[string]string{
			"orders":        "ord_5 ord_4 ord_3 ord_2 ord_1",
			"order lines":   "ord_5.1 ord_5.2 ord_4.1 ord_4.2 ord_3.1 ord_3.2 ord_2.1 ord_2.2 ord_1.1 ord_1.2",
			"returns":       "ret_5 ret_4 ret_3 ret_2 ret_1",
			"sales":         "28 71053 28 85123A 27 71053 27 85123A 26 71053 26 85123A 25 71053 25 85123A 24 71053 24 85123A",
			"daily sales":   "28 27 26 25 24",
			"product sales": "71053 85123A",
		}[name]
		for size := int32(1); size <= 6; size++ {
			var all []string
			for token, more := "", true; more; more = token != "" {
				rows, next, err := read(size, token)
				must(t, err)
				if len(rows) == 0 {
					t.Fatalf("%s: a page of %d is empty", name, size)
				}
				all, token = append(all, rows...), next
			}
			if got := strings.Join(all, " "); got != want {
				t.Errorf("%s, %d a page: %s, want %s", name, size, got, want)
			}
		}
	}
}

func TestWhatIsAskedWronglyIsNamed(t *testing.T) {
	s := shop(t)
	for name, read := range listed(s, staff) {
		for _, c := range []struct {
			size         int32
			token, field string
		}{
			{-1, "", "page_size"},
			{501, "", "page_size"},
			{1, "!", "page_token"},
			{1, cursor("nonsense"), "page_token"},
			{1, cursor("1 ' OR 1=1"), "page_token"},
		} {
			_, _, err := read(c.size, c.token)
			names(t, fmt.Sprintf("%s, %d a page, token %q", name, c.size, c.token), err, c.field)
		}
	}
	for field, ask := range map[string]func() error{
		"state": func() error { _, err := s.ListOrders(staff, &ordersv1.ListOrdersRequest{State: "lost"}); return err },
		"payment_state": func() error {
			_, err := s.ListOrders(staff, &ordersv1.ListOrdersRequest{PaymentState: "lost"})
			return err
		},
		"fulfilment_state": func() error {
			_, err := s.ListOrders(staff, &ordersv1.ListOrdersRequest{FulfilmentState: "lost"})
			return err
		},
		"since": func() error { _, err := s.ListOrders(staff, &ordersv1.ListOrdersRequest{Since: "today"}); return err },
		"until": func() error {
			_, err := s.ListOrders(staff, &ordersv1.ListOrdersRequest{Until: "2011-02-30"})
			return err
		},
	} {
		names(t, "orders by "+field, ask(), field)
	}
	for field, ask := range map[string]func() error{
		"state": func() error {
			_, err := s.ListOrderLines(staff, &ordersv1.ListOrderLinesRequest{State: "lost"})
			return err
		},
		"since": func() error {
			_, err := s.ListOrderLines(staff, &ordersv1.ListOrderLinesRequest{Since: "1"})
			return err
		},
		"until": func() error {
			_, err := s.ListOrderLines(staff, &ordersv1.ListOrderLinesRequest{Until: "1"})
			return err
		},
	} {
		names(t, "lines by "+field, ask(), field)
	}
	for field, ask := range map[string]func() error{
		"state": func() error { _, err := s.ListReturns(staff, &ordersv1.ListReturnsRequest{State: "lost"}); return err },
		"since": func() error { _, err := s.ListSales(staff, &ordersv1.ListSalesRequest{Since: "1"}); return err },
		"until": func() error {
			_, err := s.ListDailySales(staff, &ordersv1.ListDailySalesRequest{Until: "1"})
			return err
		},
	} {
		names(t, field, ask(), field)
	}
}

func names(t *testing.T, given string, err error, field string) {
	t.Helper()
	p := problem.Of(err)
	if err == nil || p == nil || p.Kind != problem.Invalid || len(p.Violations) != 1 || p.Violations[0].Field != field {
		t.Errorf("%s: %v, want a refusal of %s", given, err, field)
	}
}

func TestACartsTokenSeesTheOrdersOfItsCartAlone(t *testing.T) {
	s := shop(t)
	for who, want := range map[string]string{"crt_1": "ord_5 ord_3 ord_1", "crt_0": "ord_4 ord_2", "ord_1": "", "crt_9": "", "": ""} {
		ctx := auth.With(context.Background(), auth.Principal{Kind: auth.Bearer, ID: who})
		rows, _, err := listed(s, ctx)["orders"](20, "")
		if got := strings.Join(rows, " "); err != nil || got != want {
			t.Errorf("%q sees %q, want %q: %v", who, got, want, err)
		}
	}
}

func TestACountBeyondTheContractStaysAtItsEnd(t *testing.T) {
	for n, want := range map[int64]int32{0: 0, -7: -7, 1 << 40: 1<<31 - 1, -1 << 40: -1 << 31} {
		if got := count(n); got != want {
			t.Errorf("%d is told as %d", n, got)
		}
	}
}

// Whatever a client sends as a cursor of a list, it is one that a page gave, or refused by name.
func FuzzListToken(f *testing.F) {
	f.Add(markToken(view.Mark{At: time.Unix(0, 0).UnixMicro(), ID: "ord_01J"}))
	f.Add(cursor("2011-07-31 GBP 85123A with a space"))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte{0xff, ' ', 0}))
	f.Add("!")
	f.Fuzz(func(t *testing.T, token string) {
		_, after, err := marked(1, token)
		if err != nil {
			names(t, token, err, "page_token")
		} else if token != "" && (after.ID == "" || after == (view.Mark{})) {
			t.Errorf("%q is the mark %+v, before the first row", token, after)
		}
		sale, err := saleOf(token)
		if err != nil {
			names(t, token, err, "page_token")
		} else if decoded, _ := base64.RawURLEncoding.DecodeString(token); token != "" && strings.Join([]string{sale.Day, sale.Currency, sale.SKU}, " ") != string(decoded) {
			t.Errorf("%q is %+v", decoded, sale)
		}
	})
}
