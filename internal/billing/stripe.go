package billing

import (
	"context"
	"errors"

	"till/internal/catalog"
	"till/internal/customers"
)

// NewSession is a call that creates a session.
type NewSession struct {
	// IdempotencyKey is shared by the tries of this one call, and by the repeats of a
	// request that its caller has given a key.
	IdempotencyKey string
	Params         catalog.Params
	// Version is the Stripe-Version; "" is the one in use.
	Version string
	// What the answer must say, or it is not believed.
	Customer string
	// IsAccount says that Customer is an account's id, which is in customer_account.
	IsAccount bool
	Livemode  bool
}

func (n NewSession) customer() customers.Customer {
	return customers.Customer{ID: n.Customer, IsAccount: n.IsAccount}
}

// Stripe is what the use cases ask of Stripe. An answer without an error has
// been checked: ids, customer, mode and the host of every URL. Errors are
// *problem.Error; those about an object that does not exist satisfy
// catalog.IsMissing, those about a parameter have a ParamError in their chain.
type Stripe interface {
	catalog.PriceSource
	AccountSource
	History
	FlowTargets
	PortalConfigurations
	Existing
	CreateCheckoutSession(ctx context.Context, s NewSession) (CheckoutSession, error)
	// CheckoutSession reads one session. Whose it is, is for the caller to judge.
	CheckoutSession(ctx context.Context, id string, livemode bool) (CheckoutSession, error)
	CreatePortalSession(ctx context.Context, s NewSession) (PortalSession, error)
	// CheckoutVersion and PortalVersion are the Stripe-Versions that the sessions of
	// either kind are created at when NewSession names none.
	CheckoutVersion(isAccount bool) string
	PortalVersion(isAccount bool) string
	// PromotionCodeID returns the id of the active promotion code that customers
	// know as code, or an error that satisfies catalog.IsMissing.
	PromotionCodeID(ctx context.Context, code string) (string, error)
}

// AccountSource knows whose key it is.
type AccountSource interface {
	// AccountID returns the id of the account the key belongs to.
	AccountID(ctx context.Context) (string, error)
}

// ParamError is implemented by errors of Stripe about one parameter.
type ParamError interface {
	error
	// Param is Stripe's name of it, as in "line_items[0][price]".
	Param() string
}

func paramOf(err error) string {
	if e, ok := errors.AsType[ParamError](err); ok {
		return e.Param()
	}
	return ""
}

// PermissionError is implemented by errors that say the key may not do this.
type PermissionError interface {
	error
	PermissionDenied() bool
}

func isPermissionDenied(err error) bool {
	e, ok := errors.AsType[PermissionError](err)
	return ok && e.PermissionDenied()
}

// KeyError is implemented by errors that say the key is none, or none any more.
type KeyError interface {
	error
	KeyRefused() bool
}

func isKeyRefused(err error) bool {
	e, ok := errors.AsType[KeyError](err)
	return ok && e.KeyRefused()
}

// AccountError is implemented by errors that say the key has no access to the account
// that a call was made for.
type AccountError interface {
	error
	AccountRefused() bool
}

func isAccountRefused(err error) bool {
	e, ok := errors.AsType[AccountError](err)
	return ok && e.AccountRefused()
}

// Accounts remembers which account a key belongs to, without the key.
type Accounts interface {
	SeenAccount(ctx context.Context, fingerprint string) (customers.Account, bool, error)
	RememberAccount(ctx context.Context, fingerprint string, a customers.Account) error
}
