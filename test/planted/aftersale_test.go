package planted

// The parts that several plants share.
const (
	moreOwed    = `UPDATE ledger_lines SET amount_minor = amount_minor + 1 WHERE owner_id = '{capture}' AND account = 'provider_receivable'`
	moreSold    = `UPDATE ledger_lines SET amount_minor = amount_minor - 1 WHERE owner_id = '{capture}' AND account = 'sales'`
	ghostParcel = `INSERT INTO shipments SELECT shop, 'ord_ghost', subject_id, state, opened_at, doc FROM shipments WHERE order_id = '{order}'`
	neverEnded  = `UPDATE events SET type = 'StockHeld', data = '{"attempt":1}' WHERE stream = '{sent}' AND type = 'PaymentRefunded'`
)

// afterSaleViolations are of what happens to an order once it is confirmed.
var afterSaleViolations = []violation{
	// 2. Stock is promised once, and to a living order.
	{"a canceled order is still promised its pieces", "2  canceled_order_is_promised_nothing", "{canceled}", edits{"inventory": {
		`UPDATE order_holds SET state = 'allocated' WHERE order_id = '{canceled}'`, `UPDATE hold_lines SET gone = 0 WHERE order_id = '{canceled}'`,
		`UPDATE levels SET allocated = allocated + 2`,
	}}},
	{"an order that has left is still promised its pieces", "2  allocation_is_what_was_ordered", "{sent}", edits{"inventory": {
		`UPDATE order_holds SET state = 'allocated' WHERE order_id = '{sent}'`, `UPDATE levels SET allocated = allocated + 2`,
	}}},
	{"a piece was shipped that was not dispatched", "2  shipped_is_what_was_dispatched", "{sent}", edits{"inventory": {
		`UPDATE movements SET delta = -3 WHERE kind = 'shipped' AND sku = 'A'`, `UPDATE levels SET on_hand = on_hand - 1 WHERE sku = 'A'`,
	}}},
	{"a return did not come back to stock", "2  returned_is_what_came_back", "{sent}", edits{"inventory": {
		`DELETE FROM movements WHERE kind = 'returned'`, `UPDATE levels SET on_hand = on_hand - 1 WHERE sku = 'A'`,
	}}},
	{"a rejected order has a shipment", "2  shipment_has_confirmed_order", "{rejected}", edits{"shipping": {
		`INSERT INTO shipments SELECT shop, '{rejected}', subject_id, state, opened_at, doc FROM shipments WHERE order_id = '{order}'`,
	}}},
	{"a canceled order's shipment is open", "2  canceled_pieces_are_stopped", "{canceled}", edits{"shipping": {`UPDATE shipments SET state = 'open' WHERE order_id = '{canceled}'`}}},
	{"a shipment was stopped and its order stands", "2  stopped_shipment_was_canceled", "{order}", edits{"shipping": {`UPDATE shipments SET state = 'stopped' WHERE order_id = '{order}'`}}},
	{"a shipment has sent more than its parcels hold", "2  dispatched_is_sum_of_parcels", "{sent}", edits{"shipping": {
		`UPDATE shipments SET doc = replace(doc, '"1 2,2 2"', '"1 2,2 1"') WHERE order_id = '{sent}'`,
	}}},
	{"a shipment has sent more than was ordered", "2  dispatched_within_quantity", "{sent}", edits{"shipping": {
		`UPDATE shipments SET doc = replace(doc, '1 2 2 A', '1 1 2 A') WHERE order_id = '{sent}'`,
	}}},
	{"a shipment's state is not its pieces'", "2  state_fits_quantities", "{sent}", edits{"shipping": {`UPDATE shipments SET state = 'open' WHERE order_id = '{sent}'`}}},

	// 3. Money: each confirmed order is paid once.
	{"money was taken for an order that does not exist", "3  taking_has_order", "ord_ghost", edits{"payments": {`UPDATE operations SET order_id = 'ord_ghost' WHERE kind = 'capture'`}}},
	{"money was taken for a rejected order", "3  capture_has_confirmed_order", "{rejected}", edits{"payments": {`UPDATE operations SET order_id = '{rejected}' WHERE kind = 'capture'`}}},
	{"a capture is in another currency", "3  money_is_in_the_orders_currency", "{sent}", edits{"payments": {`UPDATE operations SET currency = 'EUR' WHERE kind = 'capture'`}}},
	{"more was taken than the total", "3  captured_is_at_most_the_total", "{sent}", edits{"payments": {`UPDATE operations SET amount_minor = 1416 WHERE kind = 'capture'`}}},
	{"more was given back than was taken", "3  refunded_is_at_most_captured", "{sent}", edits{"payments": {`UPDATE operations SET amount_minor = 1416 WHERE kind = 'refund'`}}},
	{"a capture is not its intent's", "3  captures_are_the_intents", "{sent}", edits{"payments": {`UPDATE intents SET captured_minor = 1 WHERE id = '{sent intent}'`}}},
	{"a refund is not its intent's", "3  refunds_are_the_intents", "{sent}", edits{"payments": {`UPDATE intents SET refunded_minor = 1 WHERE id = '{sent intent}'`}}},
	{"payments took less than the order knows of", "3  captured_is_what_payments_took", "{sent}", edits{"payments": {`UPDATE operations SET amount_minor = 1414 WHERE kind = 'capture'`}}},
	{"the order knows of more than payments took", "3  captured_is_what_payments_took", "{sent}", edits{"orders": {
		`UPDATE events SET data = json_set(data, '$.amount', 1416) WHERE stream = '{sent}' AND type IN ('CaptureRequested', 'PaymentCaptured')`,
	}}},
	{"payments gave back more than the order knows of", "3  refunded_is_what_payments_gave", "{sent}", edits{"payments": {`UPDATE operations SET amount_minor = 256 WHERE kind = 'refund'`}}},
	{"a canceled order was captured and kept", "3  canceled_order_keeps_no_money", "{canceled}", edits{"payments": {
		`INSERT INTO operations SELECT shop, kind, 'cap_ghost', '{canceled}', '{canceled intent}', amount_minor, currency, 0, 1, reason, state, code, created_at, updated_at, 0, 0
			FROM operations WHERE kind = 'capture'`,
	}}},
	{"a canceled order still holds money", "3  canceled_order_holds_no_money", "{canceled}", edits{"payments": {`UPDATE intents SET state = 'authorized' WHERE id = '{canceled intent}'`}}},
	{"everything has left and its money was not taken", "3  dispatched_order_is_captured", "{sent}", edits{"payments": {`UPDATE operations SET state = 'failed' WHERE kind = 'capture'`}}},
	{"a provider owes more than it took", "3  ledger_is_owed_what_was_captured", "GBP", edits{"payments": {moreOwed, moreSold}}},
	{"a capture moved another sum", "3  operation_is_in_ledger", "{capture}", edits{"payments": {moreOwed, moreSold}}},
	{"the provider took another sum", "3  intent_matches_provider", "{sent intent}", edits{journal: {`s/"captured":1415/"captured":1400/"id"`}}},
	{"store credit that no order uses is set aside", "3  wallets_set_aside_what_orders_use", "GBP", edits{"payments": {
		`UPDATE ledger_lines SET amount_minor = amount_minor * 2 WHERE owner_id LIKE 'wallet_%/2'`,
	}}},
	{"an entry of a wallet moved another sum", "3  wallet_entry_is_in_ledger", "wallet_17850_GBP/1", edits{"payments": {
		`UPDATE ledger_lines SET amount_minor = amount_minor * 2 WHERE owner_id = 'wallet_17850_GBP/1'`,
	}}},
	{"a wallet has more than its history", "3  wallet_is_the_fold", "wallet_17850_GBP", edits{"payments": {`UPDATE wallets SET balance_minor = balance_minor + 1`}}},

	{"the provider gave back what payments does not know of", "3  intent_matches_provider", "{sent intent}", edits{journal: {`s/"refunded":255/"refunded":300/"refund"`}}},

	// 4. Every run ends, or is parked and visible.
	{"a refund is due and nobody sees to it", "4  unsettled_order_has_living_run", "{sent}", edits{"orders": {neverEnded}}},
	{"an after-sale has no order", "4  run_has_order", "ord_ghost.aftersale", edits{"orders": {
		`INSERT INTO saga_runs SELECT 'ord_ghost.aftersale', saga, version, 'parked', 'running', step, attempt, next_at, epoch, owner, last_error, started_at, 0
			FROM saga_runs WHERE id = '{sent}.aftersale'`,
	}}},

	// 6. Every event reaches every consumer.
	{"a confirmed order has no shipment", "6  confirmed_order_has_shipment", "{order}", edits{"shipping": {`DELETE FROM shipments WHERE order_id = '{order}'`}}},
	{"a shipment is of fewer pieces", "6  shipment_is_what_was_ordered", "{order}", edits{"shipping": {`UPDATE shipments SET doc = replace(doc, '1 2 0 A', '1 1 0 A') WHERE order_id = '{order}'`}}},
	{"an order heard of a parcel that shipping does not know", "6  dispatch_is_heard_once", "{sent}", edits{"shipping": {
		`UPDATE shipments SET doc = replace(replace(doc, '1 2 2 A', '1 2 1 A'), '"1 2,2 2"', '"1 1,2 2"') WHERE order_id = '{sent}'`,
	}}},
	{"a shipment has no order", "6  shipment_has_order", "ord_ghost", edits{"shipping": {ghostParcel}}},
	{"a parcel was said twice", "6  parcel_is_said_once", "{sent}", edits{"shipping": {
		`UPDATE shipments SET doc = json_set(doc, '$.parcels', json('[]')) WHERE order_id = '{sent}'`,
	}}},

	// 7. Every view equals the fold of its events.
	{"the list of returns shows another refund", "7  return_view_is_fold", "{return}", edits{"orders": {`UPDATE return_view SET refund = refund + 1`}}},
	{"the list of returns lacks one", "7  return_view_is_fold", "{return}", edits{"orders": {`DELETE FROM return_view`}}},
	{"the list of orders shows money that was not taken", "7  order_view_is_fold", "{order}", edits{"orders": {`UPDATE order_view SET captured = 1 WHERE order_id = '{order}'`}}},
	{"sales are more than was sold", "7  sales_are_sum_of_orders", "sales", edits{"orders": {`UPDATE sales SET revenue = revenue + 1`}}},
	{"sales of a day are not those of its products", "7  sales_add_up", "", edits{"orders": {`UPDATE sales SET sold = sold + 1 WHERE sku = '' AND day <> ''`}}},
}
