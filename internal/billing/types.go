package billing

import (
	"encoding/json"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// ID is a reference to a Stripe object. Stripe sends it as a string, as null,
// or, when expanded, as the object itself; only the id is kept.
type ID string

// UnmarshalJSON implements json.Unmarshaler.
func (id *ID) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*id = ""
		return nil
	}
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(id))
	}
	var object struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	if object.ID == "" {
		return errors.New("an expanded object without an id")
	}
	*id = ID(object.ID)
	return nil
}

// MarshalJSONTo implements json.MarshalerTo: an absent reference is null.
func (id ID) MarshalJSONTo(e *jsontext.Encoder) error {
	if id == "" {
		return e.WriteToken(jsontext.Null)
	}
	return e.WriteToken(jsontext.String(string(id)))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom, which is UnmarshalJSON without a
// copy and a second look.
func (id *ID) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == jsontext.KindString {
		text, err := d.ReadToken()
		*id = ID(text.String())
		return err
	}
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	return id.UnmarshalJSON(value)
}

// MarshalJSON implements json.Marshaler: an absent reference is null.
func (id ID) MarshalJSON() ([]byte, error) {
	if id == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(id))
}

// CheckoutSession is what Till shows of Stripe's Checkout Session, by Stripe's
// names and in Stripe's units. It is decoded from Stripe's answer and encoded
// for the caller; nil is JSON's null on both sides.
type CheckoutSession struct {
	ID              ID                `json:"id"`
	Object          string            `json:"object"`
	URL             *string           `json:"url"`
	ClientSecret    *string           `json:"client_secret"`
	UIMode          *string           `json:"ui_mode"`
	Mode            string            `json:"mode"`
	Status          *string           `json:"status"`
	PaymentStatus   string            `json:"payment_status"`
	Currency        *string           `json:"currency"`
	AmountSubtotal  *int64            `json:"amount_subtotal"`
	AmountTotal     *int64            `json:"amount_total"`
	Created         int64             `json:"created"`
	ExpiresAt       int64             `json:"expires_at"`
	Livemode        bool              `json:"livemode"`
	Locale          *string           `json:"locale"`
	SuccessURL      *string           `json:"success_url"`
	CancelURL       *string           `json:"cancel_url"`
	ReturnURL       *string           `json:"return_url"`
	Customer        ID                `json:"customer"`
	CustomerAccount ID                `json:"customer_account"`
	Subscription    ID                `json:"subscription"`
	PaymentIntent   ID                `json:"payment_intent"`
	SetupIntent     ID                `json:"setup_intent"`
	Invoice         ID                `json:"invoice"`
	Metadata        map[string]string `json:"metadata"`
	// Replayed says that an earlier call has made the session, and Stripe has answered
	// with what it said then.
	Replayed bool `json:"-"`
	// NextPollAfterMS is ours: how long to wait before asking again, absent once
	// nothing can change any more.
	NextPollAfterMS *int64 `json:"next_poll_after_ms,omitempty"`
}

// Location is the path of the session, for the Location header.
func (s CheckoutSession) Location() string { return "/checkout/" + string(s.ID) }

// IsReplayed reports whether an earlier request has brought the session.
func (s CheckoutSession) IsReplayed() bool { return s.Replayed }

// PortalSession is what Till shows of Stripe's Billing Portal session. Its URL
// opens the customer's account for whoever has it.
type PortalSession struct {
	ID              ID          `json:"id"`
	Object          string      `json:"object"`
	Configuration   ID          `json:"configuration"`
	Created         int64       `json:"created"`
	Customer        ID          `json:"customer"`
	CustomerAccount ID          `json:"customer_account"`
	Flow            *PortalFlow `json:"flow"`
	Livemode        bool        `json:"livemode"`
	Locale          *string     `json:"locale"`
	OnBehalfOf      *string     `json:"on_behalf_of"`
	ReturnURL       *string     `json:"return_url"`
	URL             string      `json:"url"`
	// Replayed is as in CheckoutSession.
	Replayed bool `json:"-"`
}

// IsReplayed reports whether an earlier request has brought the session.
func (s PortalSession) IsReplayed() bool { return s.Replayed }

// CheckoutRequest is the body of POST /checkout. A nil member was not sent.
type CheckoutRequest struct {
	Plan          *string           `json:"plan"`
	Quantity      *int64            `json:"quantity"`
	SuccessURL    *string           `json:"success_url"`
	CancelURL     *string           `json:"cancel_url"`
	ReturnURL     *string           `json:"return_url"`
	Locale        *string           `json:"locale"`
	Currency      *string           `json:"currency"`
	PromotionCode *string           `json:"promotion_code"`
	Metadata      map[string]string `json:"metadata"`
	UIMode        *string           `json:"ui_mode"`
	LineItems     []CheckoutItem    `json:"line_items"`
}

// CheckoutItem is one of the plan's line items, by the name that callers know.
type CheckoutItem struct {
	Price    *string `json:"price"`
	Quantity *int64  `json:"quantity"`
}

// PortalRequest is the body of POST /portal; it may be empty.
type PortalRequest struct {
	ReturnURL *string      `json:"return_url"`
	Locale    *string      `json:"locale"`
	Portal    *string      `json:"portal"`
	Flow      *FlowRequest `json:"flow"`
}
