package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/catalog/view"
)

// The consumers of the catalog.
const (
	FollowsPricing   = "catalog.pricing"
	FollowsInventory = "catalog.inventory"
)

// Followers are the consumers that keep prices and stock of the view.
func Followers(store *sqlstore.Store, v *view.View) []bus.Consumer {
	return []bus.Consumer{
		{Name: FollowsPricing, Source: "pricing", From: bus.FromStart, Store: store, Handle: map[string]bus.Handler{
			"souk.pricing.v1.PricesSet":  pricesSet(v),
			"souk.pricing.v1.ChannelSet": channelSet(v),
		}},
		{Name: FollowsInventory, Source: "inventory", From: bus.FromStart, Store: store, Gather: view.Gather, HandleAll: map[string]bus.BatchHandler{
			"souk.inventory.v1.StockChanged": stockChanged(v),
		}},
	}
}

func pricesSet(v *view.View) bus.Handler {
	return func(tx sqlstore.Tx, ev bus.Event) error {
		var set pricingv1.PricesSet
		if err := proto.Unmarshal(ev.Data, &set); err != nil {
			return fmt.Errorf("read %s: %w", ev.ID, err)
		}
		prices := make([]view.Price, len(set.GetPrices()))
		for i, row := range set.GetPrices() {
			amount, err := protomoney.To(row.GetPrice())
			if err != nil {
				return fmt.Errorf("read the price of %s in %s: %w", row.GetSku(), ev.ID, err)
			}
			prices[i] = view.Price{
				SKU: row.GetSku(), Price: amount, From: timeIn(row.GetValidFrom()), Until: timeIn(row.GetValidUntil()), Revision: row.GetRevision(),
			}
		}
		return v.ApplyPrices(tx, set.GetChannel(), prices)
	}
}

func timeIn(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func channelSet(v *view.View) bus.Handler {
	return func(tx sqlstore.Tx, ev bus.Event) error {
		var set pricingv1.ChannelSet
		if err := proto.Unmarshal(ev.Data, &set); err != nil {
			return fmt.Errorf("read %s: %w", ev.ID, err)
		}
		return v.ApplyChannel(tx, set.GetId(), set.GetCurrency())
	}
}

// stockChanged takes the figures of a batch together, so that a SKU that
// changed often is stored once.
func stockChanged(v *view.View) bus.BatchHandler {
	return func(tx sqlstore.Tx, events []bus.Event) error {
		figures := make([]view.Stock, 0, 2*len(events))
		for _, ev := range events {
			var changed inventoryv1.StockChanged
			if err := proto.Unmarshal(ev.Data, &changed); err != nil {
				return fmt.Errorf("read %s: %w", ev.ID, err)
			}
			for _, item := range changed.GetItems() {
				figures = append(figures, view.Stock{
					SKU: item.GetSku(), Available: item.GetAvailable(), Backorder: item.GetBackorder(), Revision: item.GetRevision(),
				})
			}
		}
		return v.ApplyStock(tx, figures)
	}
}
