package sandbox

import (
	"strings"
)

// draft is a session on its way into being.
type draft struct {
	*call
	p      params
	mode   string
	ui     string
	fields object
	hidden *checkout
}

// createSession judges the parameters in steps, cheapest first; what makes
// objects of its own (inline prices, shipping rates) comes last.
func createSession(c *call) (any, error) {
	d := &draft{call: c, p: c.params, fields: object{}, hidden: &checkout{base: c.sandbox.base(c.request)}}
	for _, step := range []func() error{
		d.chooseMode, d.applyRules, d.checkURLs, d.reflectAll, d.chooseCustomer, d.checkTax, d.checkTaxID,
		d.chooseDiscount, d.chooseTrial, d.chooseExpiry, d.chooseCurrency,
		d.chooseItems, d.chooseShipping, d.total,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return d.store()
}

func (d *draft) chooseMode() (err error) {
	if d.mode = d.p.str("mode"); d.mode == "" {
		return missing("mode")
	}
	if d.ui, err = d.readUIMode(); err != nil {
		return err
	}
	d.fields["mode"], d.fields["ui_mode"] = d.mode, d.ui
	return nil
}

func (d *draft) chooseExpiry() error {
	at := d.now + 24*60*60
	if d.p.has("expires_at") {
		at = d.p.int("expires_at")
	}
	if at < d.now+30*60 {
		return invalid("", "expires_at", "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.")
	}
	if at > d.now+24*60*60 {
		return invalid("", "expires_at", "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.")
	}
	d.fields["expires_at"] = at
	return nil
}

// chooseCurrency settles it for setup mode; the others take their prices'.
func (d *draft) chooseCurrency() error {
	d.fields["currency"] = nullable(strings.ToLower(d.p.str("currency")))
	if d.mode == "setup" && !d.p.has("currency") && !d.p.has("payment_method_types") {
		return missing("currency")
	}
	return nil
}

func (d *draft) chooseTrial() error {
	data := d.p.sub("subscription_data")
	d.hidden.payment, d.hidden.setup, d.hidden.subscription = d.p.sub("payment_intent_data"), d.p.sub("setup_intent_data"), data
	days, end := data.int("trial_period_days"), data.int("trial_end")
	switch {
	case data.has("trial_period_days") && data.has("trial_end"):
		return invalid("", "subscription_data[trial_end]", "You may only specify one of these parameters: subscription_data[trial_period_days], subscription_data[trial_end].")
	case data.has("trial_period_days") && days < 1:
		return invalid("parameter_invalid_integer", "subscription_data[trial_period_days]", "This value must be greater than or equal to 1.")
	case days > 730:
		return invalid("parameter_invalid_integer", "subscription_data[trial_period_days]", "The maximum number of trial period days is 730 (2 years).")
	case data.has("trial_end") && end < d.now+2*day:
		return invalid("", "subscription_data[trial_end]", "The `trial_end` date has to be at least 2 days in the future.")
	case days > 0:
		end = d.now + days*day
	}
	d.hidden.trialEnd = end
	return nil
}

const day = 24 * 60 * 60

// store gives the session its id and its way in: a URL when hosted, a client
// secret otherwise.
func (d *draft) store() (any, error) {
	id := newSessionID()
	d.fields["status"] = "open"
	d.fields["payment_status"] = "unpaid"
	if d.mode == "setup" {
		d.fields["payment_status"] = "no_payment_required"
	}
	if d.ui == "hosted" {
		d.fields["url"] = d.hidden.base + "/checkout/" + id
	} else {
		d.fields["client_secret"] = id + "_secret_" + token(40)
	}
	r, err := d.create("checkout.session", id, d.fields, d.hidden)
	if err != nil {
		return nil, err
	}
	return d.show("checkout.session", r), nil
}
