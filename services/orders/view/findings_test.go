package view_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

func (d *desk) findings() (found []view.Finding, checked int) {
	d.Helper()
	for after := int64(0); ; {
		page, err := view.Findings(context.Background(), d.list, d.app, after)
		d.must(err)
		found, checked = append(found, page.Found...), checked+page.Checked
		if after = page.Next; after == 0 {
			return found, checked
		}
	}
}

// settling gives an order an after-sale run in a state.
func (d *desk) settling(n int, state saga.State) {
	d.Helper()
	d.update(func(tx sqlstore.Tx) error {
		run := aftersale.Definition().New(aftersale.RunID(placed(n).ID), "orders", noon)
		if run.State = state; state == saga.Done {
			run = run.End(noon)
		}
		return saga.Begin(tx, run)
	})
}

var (
	left    = order.Dispatched{ParcelID: "par_1", Pieces: []order.Piece{{Line: 1, Quantity: 1}}, At: noon}
	wanted  = order.CaptureRequested{ID: "cap_1", Amount: 100, Final: true}
	taken   = order.Captured{ID: "cap_1", Amount: 100}
	comes   = order.ReturnOpened{ID: "ret_1", Lines: []order.ReturnedLine{{Line: 1, SKU: "85123A", Quantity: 1, Refund: 100}}, Reason: "broken", Reference: "C536379", At: noon}
	came    = order.ReturnReceived{ID: "ret_1", Lines: []order.ReturnedLine{{Line: 1, SKU: "85123A", Quantity: 1, Refund: 100, WriteOff: true}}, Refund: 90, At: noon}
	giving  = order.RefundRequested{ID: "rfd_1", ReturnID: "ret_1", Amount: 90, At: noon}
	given   = order.Refunded{ID: "rfd_1", Amount: 90}
	undoing = []order.Step{order.StepHold}
)

func TestAGoodShopHasNoFindings(t *testing.T) {
	d := open(t)
	d.confirmed(1)
	d.tell(2, saga.Running)
	d.tell(3, saga.Done, order.StockRefused{}, order.RejectedEvent{At: noon, Rejection: order.Rejection{Code: "sold_out"}})
	d.tell(4, saga.Parked, order.StockHeld{}, order.RejectedEvent{At: noon, Undo: undoing})
	d.tell(5, saga.Compensating, order.StockHeld{}, order.RejectedEvent{At: noon, Undo: undoing})
	d.confirmed(6)
	d.exec(`DELETE FROM saga_runs WHERE id = 'ord_006'`) // swept, long after
	d.confirmed(7, order.CancelRequested{At: noon})
	d.settling(7, saga.Running)
	d.confirmed(8, order.CancelRequested{At: noon}, order.CanceledEvent{Items: []order.Item{{Line: 1, SKU: "85123A", Quantity: 8}}, Whole: true, Undo: undoing, At: noon.AddDate(0, 0, 3)})
	d.settling(8, saga.Parked)
	d.confirmed(9, left, wanted, taken, comes, came, giving, given)
	d.settling(9, saga.Done)
	d.confirmed(10, left, wanted, order.CaptureFailed{ID: "cap_1", Code: "card_expired"})
	d.settling(10, saga.Running)
	if found, checked := d.findings(); len(found) != 0 || checked != 10 {
		t.Errorf("%d orders checked, found %+v", checked, found)
	}
}

// planted are faults in the rows of four orders, and what the findings say of each.
var planted = []struct {
	given, sql string
	want       []string // rule and subject
}{
	{"another state in the list", `UPDATE order_view SET state = 'pending' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another payment state", `UPDATE order_view SET payment_state = 'payment_due' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another fulfilment state", `UPDATE order_view SET fulfilment_state = 'none' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another sum taken", `UPDATE order_view SET captured = 0 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another sum given back", `UPDATE order_view SET refunded = 0 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another total", `UPDATE order_view SET total = total + 1 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another currency", `UPDATE order_view SET currency = 'EUR' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"other pieces", `UPDATE order_view SET quantity = 0 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another cart", `UPDATE order_view SET cart_id = 'crt_9' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another subject", `UPDATE order_view SET subject_id = 'sub_9' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another country", `UPDATE order_view SET country = 'FR' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another number", `UPDATE order_view SET reference = '1' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another day", `UPDATE order_view SET day = '2026-11-24' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another time", `UPDATE order_view SET placed_at = placed_at + 1 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another time of sale", `UPDATE order_view SET sold_at = sold_at + 1 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"another time of decision", `UPDATE order_view SET decided_at = 0 WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{"a rejection of one that stands", `UPDATE order_view SET rejection = 'sold_out' WHERE order_id = 'ord_001'`, []string{"order_view_is_fold ord_001"}},
	{
		"a weight that is not its sales'", `UPDATE order_view SET weight = weight + 1 WHERE order_id = 'ord_001'`,
		[]string{"order_view_is_fold ord_001", "sales_are_sum_of_orders sales"},
	},
	{
		"a row that is gone", `DELETE FROM order_view WHERE order_id = 'ord_001'`,
		[]string{"order_view_is_fold ord_001", "return_view_is_fold ret_1", "sales_are_sum_of_orders sales"},
	},
	{
		"a row of no order", `INSERT INTO order_view SELECT 'ord_999', shop, reference, cart_id, subject_id, country, currency, total, quantity, day, sold_at,
				placed_at, decided_at, state, payment_state, fulfilment_state, rejection, captured, refunded, 0 FROM order_view WHERE order_id = 'ord_001'`,
		[]string{"order_view_is_fold ord_999"},
	},
	{"another state of a return", `UPDATE return_view SET state = 'open' WHERE return_id = 'ret_1'`, []string{"return_view_is_fold ret_1"}},
	{"another refund of it", `UPDATE return_view SET refund = 100 WHERE return_id = 'ret_1'`, []string{"return_view_is_fold ret_1"}},
	{"other lines of it", `UPDATE return_view SET lines = '[]' WHERE return_id = 'ret_1'`, []string{"return_view_is_fold ret_1"}},
	{"a return that is gone", `DELETE FROM return_view WHERE return_id = 'ret_1'`, []string{"return_view_is_fold ret_1"}},
	{
		"a return that never was", `INSERT INTO return_view SELECT 'ret_9', shop, order_id, subject_id, reference, state, currency, refund, refund_id, reason, lines,
				opened_at, received_at FROM return_view WHERE return_id = 'ret_1'`, []string{"return_view_is_fold ret_9"},
	},
	{
		"a return of no order", `INSERT INTO return_view SELECT 'ret_9', shop, 'ord_999', subject_id, reference, state, currency, refund, refund_id, reason, lines,
				opened_at, received_at FROM return_view WHERE return_id = 'ret_1'`, []string{"return_view_is_fold ret_9"},
	},
	{
		"more sold of a SKU on a day", `UPDATE sales SET sold = sold + 1 WHERE day = '2026-11-23' AND sku = '85123A'`,
		[]string{"sales_add_up 2026-11-23", "sales_add_up 85123A", "sales_are_sum_of_orders sales"},
	},
	{
		"less taken on a day", `UPDATE sales SET revenue = revenue - 1 WHERE day = '2026-11-23' AND sku = ''`,
		[]string{"sales_add_up 2026-11-23", "sales_are_sum_of_orders sales"},
	},
	{
		"less given back for a SKU", `UPDATE sales SET refunds = 0 WHERE day = '' AND sku = '85123A'`,
		[]string{"sales_add_up 85123A", "sales_are_sum_of_orders sales"},
	},
	{
		"more orders with a SKU", `UPDATE sales SET orders = orders + 1 WHERE day = '' AND sku = '85123A'`,
		[]string{"sales_add_up 85123A", "sales_are_sum_of_orders sales"},
	},
	{"more orders on a day", `UPDATE sales SET orders = orders + 1 WHERE day = '2026-11-23' AND sku = ''`, []string{"sales_are_sum_of_orders sales"}},
	{"more of everything", `UPDATE sales SET sold = sold * 2, revenue = revenue * 2, returned = returned * 2, refunds = refunds * 2`, []string{"sales_are_sum_of_orders sales"}},
	{
		"a day that is another", `UPDATE sales SET day = '2026-11-24' WHERE day = '2026-11-23'`,
		[]string{"sales_are_sum_of_orders sales"},
	},
	{"a run that goes on for nothing", `UPDATE saga_runs SET state = 'running' WHERE id = 'ord_001'`, []string{"run_ends_or_is_parked ord_001"}},
	{"an undecided order without a run", `DELETE FROM saga_runs WHERE id = 'ord_002'`, []string{"undecided_order_has_a_run ord_002"}},
	{"an undecided order whose run is done", `UPDATE saga_runs SET state = 'done' WHERE id = 'ord_002'`, []string{"undecided_order_has_a_run ord_002"}},
	{"an order with something to undo whose run is done", `UPDATE saga_runs SET state = 'done' WHERE id = 'ord_003'`, []string{"run_ends_when_all_is_undone ord_003"}},
	{"an after-sale run that goes on for nothing", `UPDATE saga_runs SET state = 'running' WHERE id = 'ord_001.aftersale'`, []string{"run_ends_or_is_parked ord_001"}},
	{"money to be taken and nobody takes it", `UPDATE saga_runs SET state = 'done' WHERE id = 'ord_004.aftersale'`, []string{"aftersale_has_a_run ord_004"}},
}

func TestEveryPlantedFaultIsNamed(t *testing.T) {
	for _, c := range planted {
		t.Run(c.given, func(t *testing.T) {
			d := fourOrders(t)
			d.exec(c.sql)
			d.finds(c.want...)
		})
	}
}

func TestSumsThatDoNotAddUpAreNamed(t *testing.T) {
	d := fourOrders(t)
	d.update(func(tx sqlstore.Tx) error {
		var data []byte
		if err := tx.QueryRow(`SELECT data FROM events WHERE stream = 'ord_001' AND version = 1`).Scan(&data); err != nil {
			return err
		}
		wrong := bytes.Replace(data, []byte(`"items":100,`), []byte(`"items":101,`), 1)
		_, err := tx.Exec(`UPDATE events SET data = ? WHERE stream = 'ord_001' AND version = 1`, wrong)
		return err
	})
	d.finds("totals_add_up ord_001")
}

// fourOrders are in order, each in another state.
func fourOrders(t *testing.T) *desk {
	t.Helper()
	d := open(t)
	d.confirmed(1, left, wanted, taken, comes, came, giving, given)
	d.settling(1, saga.Done)
	d.tell(2, saga.Running)
	d.tell(3, saga.Compensating, order.StockHeld{}, order.RejectedEvent{At: noon, Undo: undoing})
	d.confirmed(4, left, wanted)
	d.settling(4, saga.Running)
	if found, _ := d.findings(); len(found) != 0 {
		t.Fatalf("found before: %+v", found)
	}
	return d
}

func (d *desk) finds(want ...string) {
	d.Helper()
	found, _ := d.findings()
	var got []string
	for _, f := range found {
		got = append(got, f.Rule+" "+f.Subject)
		if f.Guarantee == 0 || f.Message == "" {
			d.Errorf("%+v", f)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		d.Errorf("found %+v, want %v", found, want)
	}
}

func TestFindingsReadMoreThanOnePage(t *testing.T) {
	d := open(t)
	const orders = 520
	for n := 1; n <= orders; n++ {
		d.confirmed(n)
	}
	d.page(view.Filter{}, first, 1) // the rows are there
	d.exec(`UPDATE order_view SET total = 0 WHERE order_id = 'ord_510'`)
	found, checked := d.findings()
	if checked != orders || len(found) != 1 || found[0].Subject != "ord_510" {
		t.Errorf("%d orders checked, found %+v", checked, found)
	}
}
