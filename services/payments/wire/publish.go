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
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// Publish is what a record of the payments' log says in public; its ordering
// key, the stream, is the order, and of a wallet's change the wallet.
func Publish(r eventlog.Recorded) (typ string, data []byte, err error) {
	public, err := public(r)
	if err != nil {
		return "", nil, fmt.Errorf("read event %d of payments: %w", r.Position, err)
	}
	if public == nil {
		return "", nil, nil
	}
	data, err = proto.Marshal(public)
	return string(public.ProtoReflect().Descriptor().FullName()), data, err
}

// public is nil for a record that says nothing.
func public(r eventlog.Recorded) (proto.Message, error) {
	if kind := wallet.Kind(r.Type); kind.Word() != "" {
		var told app.ToldEntry
		err := json.Unmarshal(r.Data, &told)
		return walletChanged(kind, told), err
	}
	switch event := operation.Event(r.Type); event {
	case operation.PaymentCaptured, operation.CaptureFailed, operation.PaymentRefunded, operation.RefundFailed:
		var told app.ToldOperation
		err := json.Unmarshal(r.Data, &told)
		return operated(event, told), err
	}
	var told app.Told
	err := json.Unmarshal(r.Data, &told)
	return event(intent.Event(r.Type), told), err
}

func walletChanged(kind wallet.Kind, t app.ToldEntry) proto.Message {
	return &paymentsv1.WalletChanged{
		SubjectId: t.Subject, Kind: kind.Word(), Amount: protomoney.From(t.Amount),
		Balance: protomoney.Minor(t.Balance, t.Amount.Currency), OrderId: t.Order,
	}
}

func operated(event operation.Event, t app.ToldOperation) proto.Message {
	switch event {
	case operation.PaymentCaptured:
		return &paymentsv1.PaymentCaptured{OrderId: t.Order, CaptureId: t.ID, Amount: protomoney.From(t.Amount)}
	case operation.CaptureFailed:
		return &paymentsv1.CaptureFailed{OrderId: t.Order, CaptureId: t.ID, Code: t.Code}
	case operation.PaymentRefunded:
		return &paymentsv1.PaymentRefunded{OrderId: t.Order, RefundId: t.ID, Amount: protomoney.From(t.Amount)}
	}
	return &paymentsv1.RefundFailed{OrderId: t.Order, RefundId: t.ID, Code: t.Code}
}

func event(typ intent.Event, t app.Told) proto.Message {
	attempt := int32(t.Attempt)
	switch typ {
	case intent.PaymentAuthorized:
		return &paymentsv1.PaymentAuthorized{
			OrderId: t.Order, IntentId: t.Intent, RunId: t.Run, Attempt: attempt, Amount: protomoney.From(t.Amount),
			MultiCapture: t.Multi,
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
