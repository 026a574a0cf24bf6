package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// eventSchema is the version of the messages' shape.
const eventSchema = 1

// Words says in the contract's words what happened; the log keeps the public
// events as they are.
type Words struct{}

// PricesSet carries new prices with their revisions.
func (Words) PricesSet(channel string, prices []quote.Price) (eventlog.Event, error) {
	set := &pricingv1.PricesSet{Channel: channel, Prices: make([]*pricingv1.PriceRow, len(prices))}
	for i := range prices {
		p := &prices[i]
		set.Prices[i] = &pricingv1.PriceRow{
			Sku: p.SKU, Price: protomoney.From(p.Amount),
			ValidFrom: timeOut(p.From), ValidUntil: timeOut(p.Until), Revision: p.Revision,
		}
	}
	return event(set)
}

// ChannelSet carries a channel as it is now.
func (Words) ChannelSet(c quote.Channel) (eventlog.Event, error) {
	return event(&pricingv1.ChannelSet{Id: c.ID, Currency: c.Currency, TaxInclusive: c.TaxInclusive})
}

func event(m proto.Message) (eventlog.Event, error) {
	typ := string(m.ProtoReflect().Descriptor().FullName())
	data, err := proto.Marshal(m)
	if err != nil {
		return eventlog.Event{}, fmt.Errorf("encode %s: %w", typ, err)
	}
	return eventlog.Event{Type: typ, Schema: eventSchema, Data: data}, nil
}
