package wire

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
)

// Publish is what a record of the payments' log says in public; its ordering
// key, the stream, is the order.
func Publish(r eventlog.Recorded) (typ string, data []byte, err error) {
	var told app.Told
	if err := json.Unmarshal(r.Data, &told); err != nil {
		return "", nil, fmt.Errorf("read event %d of payments: %w", r.Position, err)
	}
	public := event(intent.Event(r.Type), told)
	if public == nil {
		return "", nil, nil
	}
	data, err = proto.Marshal(public)
	return string(public.ProtoReflect().Descriptor().FullName()), data, err
}

func event(typ intent.Event, t app.Told) proto.Message {
	attempt := int32(t.Attempt)
	switch typ {
	case intent.PaymentAuthorized:
		return &paymentsv1.PaymentAuthorized{
			OrderId: t.Order, IntentId: t.Intent, RunId: t.Run, Attempt: attempt, Amount: protomoney.From(t.Amount),
		}
	case intent.PaymentDeclined:
		return &paymentsv1.PaymentDeclined{
			OrderId: t.Order, IntentId: t.Intent, RunId: t.Run, Attempt: attempt, DeclineCode: t.Reason,
		}
	case intent.PaymentUnknown:
		return &paymentsv1.PaymentUnknown{OrderId: t.Order, IntentId: t.Intent, RunId: t.Run, Attempt: attempt}
	case intent.PaymentVoided:
		return &paymentsv1.PaymentVoided{OrderId: t.Order, IntentId: t.Intent, RunId: t.Run, Amount: protomoney.From(t.Amount)}
	case intent.PaymentFailed:
		return &paymentsv1.PaymentFailed{OrderId: t.Order, IntentId: t.Intent, RunId: t.Run}
	}
	return nil
}
