package wire

import (
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/services/payments/app"
)

// WebhookPattern is where providers send what happened.
const WebhookPattern = "POST /api/payments/webhooks/{provider}"

// webhookMax bounds the body of a webhook.
const webhookMax = 64 << 10

// Webhooks takes webhooks in: the body as it came, for the signature is over
// its bytes. 200 means that it is stored for good.
func Webhooks(p *app.Payments, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, webhookMax))
		if err == nil {
			err = p.Webhook(r.Context(), r.PathValue("provider"), r.Header, body)
		}
		if err != nil {
			refuse(w, r, err, log)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}

func refuse(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger) {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		rest.Refuse(w, r, rest.TooLarge(tooLarge.Limit))
		return
	}
	p := problem.Of(err)
	if p == nil {
		log.ErrorContext(r.Context(), "take webhook in", "err", err)
		p = problem.New(problem.Internal, "internal", "the webhook could not be stored; send it again")
	}
	rest.Refuse(w, r, p)
}
