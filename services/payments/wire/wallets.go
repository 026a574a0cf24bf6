package wire

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// HoldCredit sets store credit aside for an order.
func (s *Server) HoldCredit(ctx context.Context, r *paymentsv1.HoldCreditRequest) (*paymentsv1.Credit, error) {
	amount, err := protomoney.To(r.GetAmount())
	if err != nil {
		return nil, err
	}
	c, err := s.App.HoldCredit(ctx, app.CreditHold{Order: r.GetOrderId(), Run: r.GetRunId(), Subject: r.GetSubjectId(), Amount: amount})
	if err != nil {
		return nil, err
	}
	return creditOut(r.GetOrderId(), c), nil
}

// ReleaseCredit gives back what was not captured of an order's store credit.
func (s *Server) ReleaseCredit(ctx context.Context, r *paymentsv1.ReleaseCreditRequest) (*paymentsv1.Credit, error) {
	c, err := s.App.ReleaseCredit(ctx, r.GetOrderId(), r.GetRunId())
	if err != nil {
		return nil, err
	}
	return creditOut(r.GetOrderId(), c), nil
}

func creditOut(order string, c wallet.Credit) *paymentsv1.Credit {
	out := &paymentsv1.Credit{OrderId: order, State: string(c.State()), SubjectId: c.Subject}
	if c.State() != wallet.CreditNone {
		out.Amount = protomoney.From(c.Amount)
		out.Captured = protomoney.Minor(c.CapturedMinor, c.Amount.Currency)
		out.Refunded = protomoney.Minor(c.RefundedMinor, c.Amount.Currency)
	}
	return out
}

// GetWallet reads the balance of a subject.
func (s *Server) GetWallet(ctx context.Context, r *paymentsv1.GetWalletRequest) (*paymentsv1.Wallet, error) {
	w, err := s.App.Wallet(ctx, auth.From(ctx), r.GetSubjectId(), r.GetCurrency())
	if err != nil {
		return nil, err
	}
	return walletOut(w), nil
}

// ListWalletEntries reads the history of a wallet, newest first.
func (s *Server) ListWalletEntries(ctx context.Context, r *paymentsv1.ListWalletEntriesRequest) (*paymentsv1.ListWalletEntriesResponse, error) {
	asked := app.EntrySelection{Subject: r.GetSubjectId(), Currency: r.GetCurrency(), Limit: int(r.GetPageSize()), Kind: wallet.KindOf(r.GetKind())}
	if r.GetKind() != "" && asked.Kind == "" {
		return nil, problem.Field("kind", "unknown", `must be one of "deposited", "withdrawn", "held", "released", "captured", "refunded"`)
	}
	if token := r.GetPageToken(); token != "" {
		var err error
		if asked.Before, err = strconv.ParseInt(token, 10, 64); err != nil || asked.Before < 1 {
			return nil, badToken()
		}
	}
	page, next, err := s.App.Entries(ctx, auth.From(ctx), asked)
	if err != nil {
		return nil, err
	}
	out := &paymentsv1.ListWalletEntriesResponse{Entries: make([]*paymentsv1.WalletEntry, len(page))}
	for n := range page {
		out.Entries[n] = entryOut(page[n])
	}
	if next > 0 {
		out.NextPageToken = strconv.FormatInt(next, 10)
	}
	return out, nil
}

// ListWallets lists wallets by subject.
func (s *Server) ListWallets(ctx context.Context, r *paymentsv1.ListWalletsRequest) (*paymentsv1.ListWalletsResponse, error) {
	subject, currency, err := walletIn(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	page, more, err := s.App.Wallets(ctx, subject, currency, int(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	out := &paymentsv1.ListWalletsResponse{Wallets: make([]*paymentsv1.Wallet, len(page))}
	for n := range page {
		out.Wallets[n] = walletOut(page[n])
	}
	if more {
		last := page[len(page)-1]
		out.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(last.Subject + "/" + last.Currency))
	}
	return out, nil
}

// walletIn is the wallet behind which a page begins.
func walletIn(token string) (subject, currency string, err error) {
	if token == "" {
		return "", "", nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(token)
	subject, currency, ok := strings.Cut(string(decoded), "/")
	if err != nil || !ok || !id.Valid(subject) || !id.Valid(currency) {
		return "", "", badToken()
	}
	return subject, currency, nil
}

// Deposit adds to a wallet.
func (s *Server) Deposit(ctx context.Context, r *paymentsv1.DepositRequest) (*paymentsv1.Wallet, error) {
	return s.move(ctx, wallet.Deposited, "deposit", r.GetSubjectId(), r.GetAmount(), r.GetReason())
}

// Withdraw takes from a wallet.
func (s *Server) Withdraw(ctx context.Context, r *paymentsv1.WithdrawRequest) (*paymentsv1.Wallet, error) {
	return s.move(ctx, wallet.Withdrawn, "withdraw", r.GetSubjectId(), r.GetAmount(), r.GetReason())
}

func (s *Server) move(ctx context.Context, kind wallet.Kind, method, subject string, amount *typev1.Money, reason string) (*paymentsv1.Wallet, error) {
	sum, err := protomoney.To(amount)
	if err != nil {
		return nil, problem.Field("amount", "malformed", `must be an amount such as {"currency": "GBP", "amount": "12.34"}`).Because(err)
	}
	key, digest, _ := rpc.IdempotencyKey(ctx)
	w, err := s.App.MoveCredit(ctx, app.Movement{
		Kind: kind, Subject: subject, Amount: sum, Reason: reason,
		Key: idem.Key{Shop: s.App.Shop, Principal: auth.From(ctx).String(), Method: method, Key: key, Digest: digest},
	})
	if err != nil {
		return nil, err
	}
	return walletOut(w), nil
}

func walletOut(w app.Wallet) *paymentsv1.Wallet {
	return &paymentsv1.Wallet{
		SubjectId: w.Subject, Balance: protomoney.Minor(w.Balance, w.Currency), Held: protomoney.Minor(w.Held, w.Currency), Entries: count(int(w.Version)),
	}
}

func entryOut(e app.Entry) *paymentsv1.WalletEntry {
	return &paymentsv1.WalletEntry{
		Number: count(int(e.Number)), Kind: e.Kind.Word(), Amount: protomoney.From(e.Amount),
		Balance: protomoney.Minor(e.BalanceMinor, e.Amount.Currency), OrderId: e.Order, Reason: e.Reason, Actor: e.Actor, At: timestamppb.New(e.At),
	}
}
