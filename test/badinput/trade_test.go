package badinput

// desk is what the sales desk asks.
func (s *stage) desk() []call {
	return []call{
		{
			route: "POST /api/desk/orders", as: "staff", required: "subject_id lines lines[0].sku lines[0].quantity price_reason payment.token",
			body: `{"subject_id": "` + s.subject + `", "lines": [{"sku": "A", "quantity": 1, "unit_price": {"currency": "GBP", "amount": "1.95"}}], "channel": "web", "currency": "GBP",
				"shipping": {"name": "Carrier", "price": ` + money + `}, "payment": {"provider": "sandbox", "token": "tok_ok", "credit": {"currency": "GBP", "amount": "1.00"}},
				"price_reason": "agreed", "reference": "536365", "sold_at": "2026-01-02T03:04:05Z", "metadata": {"clerk": "7"}, "expected_total": {"currency": "GBP", "amount": "4.50"}}`,
		},
		{route: "GET /api/users", as: "staff", query: "page_size=10&page_token=&email=john@example.com"},
		{
			route: "PUT /api/users/{id}", path: "/api/users/17850", as: "staff", required: "address.name address.lines address.city address.country",
			body: `{"name": "Jane Roe", "email": "jane@example.com", "country": "GB", "address": {"name": "Jane Roe", "lines": ["2 Low Street"], "city": "Leeds", "region": "",
				"postal_code": "LS1 1AA", "country": "GB", "phone": "+44 113 496 0000"}}`,
		},
		{route: "GET /api/users/{id}", path: "/api/users/" + s.subject, as: "staff"},
		{route: "DELETE /api/users/{id}", path: "/api/users/" + s.subject, as: "staff", last: true},
		{route: "GET /api/wallets", as: "staff", query: "page_size=10&page_token="},
		{route: "GET /api/wallets/{subject_id}", path: "/api/wallets/" + s.subject, as: "staff", query: "currency=GBP"},
		{route: "GET /api/wallets/{subject_id}/entries", path: "/api/wallets/" + s.subject + "/entries", as: "staff", query: "page_size=10&page_token=&currency=GBP&kind=deposited"},
		{
			route: "POST /api/wallets/{subject_id}/deposits", path: "/api/wallets/" + s.subject + "/deposits", as: "staff", required: "amount amount.currency amount.amount",
			body: `{"amount": {"currency": "GBP", "amount": "50.00"}, "reason": "a gift"}`,
		},
		{
			route: "POST /api/wallets/{subject_id}/withdrawals", path: "/api/wallets/" + s.subject + "/withdrawals", as: "staff",
			required: "amount amount.currency amount.amount", body: `{"amount": {"currency": "GBP", "amount": "5.00"}, "reason": "given back"}`,
		},
	}
}

// aftersale is what happens to orders that were confirmed.
func (s *stage) aftersale() []call {
	gone, stays := "/api/orders/"+s.gone, "/api/orders/"+s.order
	return []call{
		{
			route: "POST /api/shipments/{order_id}/parcels/{parcel_id}/tracking", path: "/api/shipments/" + s.gone + "/parcels/" + s.parcel + "/tracking", as: "staff",
			required: "status", body: `{"status": "in_transit", "at": "2026-01-02T03:04:05Z", "note": "Leeds hub"}`,
		},
		{route: "GET /api/shipments", as: "staff", query: "page_size=10&page_token=&state=dispatched"},
		{route: "GET /api/shipments/{order_id}", path: "/api/shipments/" + s.order, as: "order"},
		{
			route: "POST /api/orders/{order_id}/returns", path: gone + "/returns", as: "staff", required: "lines[0].line lines[0].quantity",
			body: `{"lines": [{"line": 1, "quantity": 1, "write_off": false}], "reason": "too small", "received": true, "refund": {"currency": "GBP", "amount": "1.00"},
				"received_at": "2026-01-02T03:04:05Z", "reference": "C536379"}`,
		},
		{route: "GET /api/returns", as: "staff", query: "page_size=10&page_token=&state=open&subject_id=&reference="},
		{
			route: "POST /api/orders/{order_id}/returns/{return_id}/receive", path: gone + "/returns/" + s.coming + "/receive", as: "staff", last: true,
			body: `{"lines": [{"line": 1, "quantity": 1, "write_off": true}], "refund": {"currency": "GBP", "amount": "1.00"}, "received_at": "2026-01-02T03:04:05Z"}`,
		},
		{route: "POST /api/orders/{order_id}/returns/{return_id}/close", path: gone + "/returns/" + s.lost + "/close", as: "staff", last: true, body: `{"reason": "never came"}`},
		{
			route: "POST /api/orders/{order_id}/refunds", path: gone + "/refunds", as: "staff", required: "amount amount.currency amount.amount reason",
			body: `{"amount": {"currency": "GBP", "amount": "0.10"}, "reason": "came late"}`,
		},
		{
			route: "POST /api/orders/{order_id}/capture", path: stays + "/capture", as: "staff", last: true,
			body: `{"amount": {"currency": "GBP", "amount": "1.00"}, "reason": "asked for it"}`,
		},
		{
			route: "POST /api/shipments/{order_id}/dispatch", path: "/api/shipments/" + s.spare + "/dispatch", as: "staff", last: true, required: "lines[0].line lines[0].quantity",
			body: `{"lines": [{"line": 1, "quantity": 1}], "carrier": "Royal Mail", "tracking_number": "RM 123", "dispatched_at": "2026-01-02T03:04:05Z"}`,
		},
		{route: "POST /api/orders/{order_id}/cancel", path: stays + "/cancel", as: "order", last: true, body: `{"reason": "changed my mind"}`},
	}
}

// clerks is what those ask who look at trade and at what was told of it.
func (s *stage) clerks() []call {
	span := "&since=2026-01-01&until=2099-12-31"
	return []call{
		{route: "GET /api/captures", as: "staff", query: "page_size=10&page_token=&state=captured&format=csv&order_id=" + s.gone},
		{route: "GET /api/refunds", as: "staff", query: "page_size=10&page_token=&state=refunded&order_id=" + s.gone},
		{route: "GET /api/order-lines", as: "staff", query: "page_size=10&page_token=&state=confirmed&country=GB&subject_id=" + s.subject + span},
		{route: "GET /api/sales", as: "staff", query: "page_size=10&page_token=&sku=A" + span},
		{route: "GET /api/sales/days", as: "staff", query: "page_size=10&page_token=" + span},
		{route: "GET /api/sales/products", as: "staff", query: "page_size=10&page_token=&sku=A"},
		{route: "GET /api/mails", as: "staff", query: "page_size=10&page_token=&state=sent&order_id=&subject_id="},
		{route: "POST /api/mails/{mail_id}/resend", path: "/api/mails/" + s.mail + "/resend", as: "staff"},
		{route: "GET /api/webhook-endpoints", as: "staff"},
		{
			route: "PUT /api/webhook-endpoints/{endpoint.id}", path: "/api/webhook-endpoints/crm", as: "staff", required: "url",
			body: `{"url": "https://example.com/hook", "events": ["order.confirmed"], "disabled": true}`,
		},
		{route: "DELETE /api/webhook-endpoints/{id}", path: "/api/webhook-endpoints/erp", as: "staff", last: true},
		{route: "GET /api/webhook-deliveries", as: "staff", query: "page_size=10&page_token=&state=failed&endpoint_id=erp"},
		{route: "POST /api/webhook-deliveries/{delivery_id}/redeliver", path: "/api/webhook-deliveries/" + s.delivery + "/redeliver", as: "staff"},
	}
}
