package billing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"till/internal/catalog"
	"till/internal/problem"
)

// checkoutAsk is what a caller asked for, after it was judged.
type checkoutAsk struct {
	items         []choice
	promotionCode string
	promotionID   string
	metadata      map[string]string
	// These replace the template's; "" does not.
	locale, currency, successURL, cancelURL, returnURL string
}

// replace writes what replaces the template's.
func (ask checkoutAsk) replace(params catalog.Params) {
	for _, p := range [...]struct{ name, value string }{
		{"locale", ask.locale},
		{"currency", ask.currency},
		{"success_url", ask.successURL},
		{"cancel_url", ask.cancelURL},
		{"return_url", ask.returnURL},
	} {
		if p.value != "" {
			params[p.name] = p.value
		}
	}
}

// verdict collects everything wrong with a request, so that a form can mark all
// its fields at once. The first finding gives the code, but what cannot be read
// comes before what is not allowed.
type verdict struct {
	code   problem.Code
	fields []problem.Field
	// cause is for the log: the first one there is.
	cause error
}

func (v *verdict) refuse(code problem.Code, pointer, detail string) {
	same := func(f problem.Field) bool { return f.Pointer == pointer }
	if slices.ContainsFunc(v.fields, same) {
		return
	}
	if v.code == "" || code == problem.MalformedRequest {
		v.code = code
	}
	v.fields = append(v.fields, problem.Field{Pointer: pointer, Detail: detail})
}

func (v *verdict) err() error {
	if v.code == "" {
		return nil
	}
	return &problem.Error{Code: v.code, Fields: v.fields, Err: v.cause}
}

// judgeCheckout says what is to be sold and with which of the caller's wishes,
// or refuses with everything that is not allowed.
func (s *Service) judgeCheckout(c Caller, req CheckoutRequest) (catalog.Plan, checkoutAsk, error) {
	var v verdict
	ask := checkoutAsk{metadata: req.Metadata}
	if req.Plan == nil {
		v.refuse(problem.ValidationFailed, "/plan", "is required")
		return catalog.Plan{}, ask, v.err()
	}
	plan, ok := s.o.Catalog.Plan(*req.Plan)
	if !ok {
		v.refuse(problem.CatalogNotAllowed, "/plan", "is not a plan of this service")
		return catalog.Plan{}, ask, v.err()
	}
	refuseUnaccepted(&v, plan, req)
	plan = s.judgeUIMode(&v, plan, req.UIMode)
	if c.redirected && plan.UIMode() != "hosted" {
		v.refuse(problem.CatalogNotAllowed, "/plan", "has no page to go to; ask for it with JSON")
	}
	ask.items = judgeItems(&v, plan, req)
	judgeLocale(&v, req.Locale, catalog.IsCheckoutLocale)
	judgeCurrency(&v, plan, req.Currency)
	judgePromotionCode(&v, req.PromotionCode)
	judgeMetadata(&v, plan, req.Metadata)
	s.judgeURLs(&v, plan, req, &ask)

	for _, wish := range [...]struct{ asked, set *string }{
		{req.PromotionCode, &ask.promotionCode}, {req.Locale, &ask.locale}, {req.Currency, &ask.currency},
	} {
		if wish.asked != nil {
			*wish.set = *wish.asked
		}
	}
	return plan, ask, v.err()
}

func refuseUnaccepted(v *verdict, plan catalog.Plan, req CheckoutRequest) {
	// In the order of catalog.Fields.
	for _, field := range [...]struct {
		catalog.Field
		sent bool
	}{
		{catalog.FieldQuantity, req.Quantity != nil},
		{catalog.FieldLineItems, req.LineItems != nil},
		{catalog.FieldSuccessURL, req.SuccessURL != nil},
		{catalog.FieldCancelURL, req.CancelURL != nil},
		{catalog.FieldReturnURL, req.ReturnURL != nil},
		{catalog.FieldUIMode, req.UIMode != nil},
		{catalog.FieldLocale, req.Locale != nil},
		{catalog.FieldCurrency, req.Currency != nil},
		{catalog.FieldPromotionCode, req.PromotionCode != nil},
		{catalog.FieldMetadata, req.Metadata != nil},
	} {
		if field.sent && !plan.AcceptsField(field.Field) {
			v.refuse(problem.CatalogNotAllowed, "/"+string(field.Field), "is not accepted by this plan")
		}
	}
}

// judgeUIMode returns the plan as it is for the page that the caller wants.
func (s *Service) judgeUIMode(v *verdict, plan catalog.Plan, mode *string) catalog.Plan {
	if mode == nil || !plan.AcceptsField(catalog.FieldUIMode) {
		return s.o.Catalog.PlanIn(plan.Name, plan.UIMode())
	}
	pages := plan.Pages()
	if !slices.Contains(pages, *mode) {
		v.refuse(problem.CatalogNotAllowed, "/ui_mode", "must be "+strings.Join(pages, " or "))
		return plan
	}
	return s.o.Catalog.PlanIn(plan.Name, *mode)
}

func judgeLocale(v *verdict, locale *string, known func(string) bool) {
	if locale != nil && !known(*locale) {
		v.refuse(problem.ValidationFailed, "/locale", "is not a locale Stripe has for this page")
	}
}

func judgeCurrency(v *verdict, plan catalog.Plan, currency *string) {
	if currency == nil {
		return
	}
	lower := func(r rune) bool { return r < 'a' || r > 'z' }
	switch {
	case len(*currency) != 3 || strings.ContainsFunc(*currency, lower):
		v.refuse(problem.ValidationFailed, "/currency", "must be three lower-case letters (ISO 4217)")
	case len(plan.Currencies) > 0 && !slices.Contains(plan.Currencies, *currency):
		v.refuse(problem.CatalogNotAllowed, "/currency", "must be "+strings.Join(plan.Currencies, " or "))
	}
}

func judgePromotionCode(v *verdict, code *string) {
	if code != nil && (*code == "" || len(*code) > 500 || hasControl(*code)) {
		v.refuse(problem.ValidationFailed, "/promotion_code", "must be 1 to 500 printable characters")
	}
}

// maxMetadataLength is Stripe's limit on values, in characters.
const maxMetadataLength = 500

func judgeMetadata(v *verdict, plan catalog.Plan, metadata map[string]string) {
	if len(metadata) == 0 {
		return
	}
	fixed, _ := plan.Params["metadata"].(map[string]any)
	limit := catalog.MaxMetadataKeys - len(fixed)
	if len(metadata) > limit {
		v.refuse(problem.ValidationFailed, "/metadata", fmt.Sprintf("may have at most %d keys", limit))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		pointer := "/metadata/" + escapePointer(key)
		_, taken := fixed[key]
		switch {
		case strings.HasPrefix(key, "till_"):
			v.refuse(problem.ValidationFailed, pointer, "keys that begin with till_ belong to the service")
		case taken:
			v.refuse(problem.ValidationFailed, pointer, "is written by the plan")
		case !catalog.ValidMetadataKey(key) || hasControl(key):
			v.refuse(problem.ValidationFailed, pointer, "keys have 1 to 40 characters, without [ and ]")
		case len([]rune(metadata[key])) > maxMetadataLength || strings.ContainsRune(metadata[key], 0):
			v.refuse(problem.ValidationFailed, pointer, "values have at most 500 characters, and no NUL")
		case metadata[key] == "":
			v.refuse(problem.ValidationFailed, pointer, "must not be empty")
		}
	}
}

func (s *Service) judgeURLs(v *verdict, plan catalog.Plan, req CheckoutRequest, ask *checkoutAsk) {
	hosted := plan.UIMode() == "hosted"
	for _, url := range [...]struct {
		name  string
		asked *string
		fits  bool
		set   *string
	}{
		{"success_url", req.SuccessURL, hosted, &ask.successURL},
		{"cancel_url", req.CancelURL, hosted, &ask.cancelURL},
		{"return_url", req.ReturnURL, !hosted, &ask.returnURL},
	} {
		switch {
		case url.fits && plan.Params["redirect_on_completion"] != "never":
			*url.set = s.judgeURL(v, url.name, url.asked, plan.Params)
		case url.asked != nil:
			v.refuse(problem.CatalogNotAllowed, "/"+url.name, "has no place with ui_mode "+plan.UIMode())
		}
	}
}

// judgeURL returns the caller's URL if it is allowed, the default when neither the
// caller nor the template has one, and "" when there is none to set.
func (s *Service) judgeURL(v *verdict, name string, asked *string, template catalog.Params) string {
	switch {
	case asked != nil && *asked == "":
		v.refuse(problem.MalformedRequest, "/"+name, "must not be empty; leave it out for the default")
	case asked != nil:
		clean, err := s.o.Redirects.Check(*asked)
		if err != nil {
			v.refuse(problem.RedirectNotAllowed, "/"+name, "is not an allowed URL")
			s.metrics.redirectRefused(err)
			v.cause = cmp.Or(v.cause, fmt.Errorf("%s: %w", name, err))
			return ""
		}
		return clean
	case template[name] == nil:
		return s.o.Redirects.Default()
	}
	return ""
}

// explainCheckout turns Stripe's refusal of something the caller chose, or of a
// price that is gone, into what the caller can know.
func explainCheckout(err error, req CheckoutRequest) error {
	param := paramOf(err)
	switch {
	case param == "":
		return err
	case req.Currency != nil && (param == "currency" || strings.HasPrefix(param, "line_items")):
		// Stripe may blame the price for not having the currency.
		return problem.At(problem.ValidationFailed, "/currency", "is not a currency of this plan")
	case strings.HasPrefix(param, "discounts") && req.PromotionCode != nil:
		return problem.At(problem.ValidationFailed, "/promotion_code", "cannot be used for this")
	case strings.HasPrefix(param, "line_items"):
		return problem.New(problem.PlanUnavailable, errors.Unwrap(err))
	default:
		return err
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// escapePointer escapes one reference token (RFC 6901, section 3).
func escapePointer(token string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}
