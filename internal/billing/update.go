package billing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"till/internal/catalog"
	"till/internal/problem"
)

// UpdateRequest is the body of PATCH /checkout/{id}. A nil member was not sent, and
// what it stands for stays as it is.
type UpdateRequest struct {
	// Metadata is merged into the session's; "" takes a key away.
	Metadata map[string]string `json:"metadata"`
	// ShippingOptions are names that the plan lists, in the order to show them.
	ShippingOptions      []string              `json:"shipping_options"`
	CollectedInformation *CollectedInformation `json:"collected_information"`
	// LineItems replace all that the session has.
	LineItems []CheckoutItem `json:"line_items"`
}

// CollectedInformation is what the page would have asked for.
type CollectedInformation struct {
	ShippingDetails *ShippingDetails `json:"shipping_details"`
}

// ShippingDetails is where to send things, and to whom.
type ShippingDetails struct {
	Name    *string  `json:"name"`
	Address *Address `json:"address"`
}

// Address is a postal address, by Stripe's names.
type Address struct {
	Line1      *string `json:"line1"`
	Line2      *string `json:"line2"`
	City       *string `json:"city"`
	State      *string `json:"state"`
	PostalCode *string `json:"postal_code"`
	// Country is two letters (ISO 3166-1).
	Country *string `json:"country"`
}

// UpdateCheckout changes one of the caller's sessions, under the rules of the plan
// that it was opened from. Metadata can be changed at any time, the rest while the
// session is open.
func (s *Service) UpdateCheckout(ctx context.Context, c Caller, id string, req UpdateRequest) (CheckoutSession, error) {
	session, err := s.owned(ctx, c, id)
	if err != nil {
		return CheckoutSession{}, err
	}
	params, err := s.judgeUpdate(session, req)
	if err != nil {
		return CheckoutSession{}, err
	}
	if !isOpen(session) && (len(params) > 1 || params["metadata"] == nil) {
		return CheckoutSession{}, problem.New(problem.SessionNotOpen, nil)
	}
	after, err := s.changed(ctx, c, session, params, s.o.Stripe.UpdateCheckoutSession)
	return after, explainUpdate(err, params)
}

// members are what was sent, by name.
func (r UpdateRequest) members() []string {
	var sent []string
	for _, m := range []struct {
		name string
		sent bool
	}{
		{"metadata", r.Metadata != nil},
		{"shipping_options", r.ShippingOptions != nil},
		{"collected_information", r.CollectedInformation != nil},
		{"line_items", r.LineItems != nil},
	} {
		if m.sent {
			sent = append(sent, m.name)
		}
	}
	return sent
}

// judgeUpdate returns the parameters of the update, or refuses with everything that
// the plan does not allow.
func (s *Service) judgeUpdate(session CheckoutSession, req UpdateRequest) (catalog.Params, error) {
	var v verdict
	sent := req.members()
	if len(sent) == 0 {
		v.refuse(problem.ValidationFailed, "", "names nothing to change")
		return nil, v.err()
	}
	var plan catalog.Plan
	known := false
	if name := planOf(session); name != nil {
		plan, known = s.o.Catalog.Plan(*name)
	}
	if !known {
		for _, member := range sent {
			v.refuse(problem.CatalogNotAllowed, "/"+member, "the session's plan is not in the catalogue any more")
		}
		return nil, v.err()
	}
	page := pageOf(session)
	params := catalog.Params{}
	judgeNewMetadata(&v, plan, session, req.Metadata, params)
	judgeShippingOptions(&v, plan, page, req.ShippingOptions, params)
	judgeCollected(&v, plan, page, req.CollectedInformation, params)
	items := judgeNewItems(&v, plan, page, req.LineItems)
	if err := v.err(); err != nil || items == nil {
		return params, err
	}
	var err error
	params["line_items"], err = s.lineItems(plan, items)
	return params, err
}

// planOf returns the name of the plan that the session was opened from, nil if it
// is none of ours.
func planOf(session CheckoutSession) *string {
	if name, ok := session.Metadata["till_plan"]; ok {
		return &name
	}
	return nil
}

// pageOf returns the session's ui_mode as the catalogue spells it.
func pageOf(session CheckoutSession) string {
	if session.UIMode == nil {
		return "hosted"
	}
	return catalog.PageOf(*session.UIMode)
}

// maxMetadataKeys is Stripe's limit.
const maxMetadataKeys = 50

func judgeNewMetadata(v *verdict, plan catalog.Plan, session CheckoutSession, metadata map[string]string, params catalog.Params) {
	if metadata == nil {
		return
	}
	if !plan.AcceptsField(catalog.FieldMetadata) {
		v.refuse(problem.CatalogNotAllowed, "/metadata", "is not accepted by this plan")
		return
	}
	after, set := maps.Clone(session.Metadata), map[string]string{}
	for key, value := range metadata {
		after[key], set[key] = value, value
		if value == "" {
			delete(after, key)
			// What takes a key away has no value to judge.
			set[key] = "x"
		}
	}
	judgeMetadata(v, plan, set)
	if len(after) > maxMetadataKeys {
		v.refuse(problem.ValidationFailed, "/metadata", fmt.Sprintf("the session would have more than %d keys", maxMetadataKeys))
	}
	out := catalog.Params{}
	for key, value := range metadata {
		out[key] = value
	}
	params["metadata"] = out
}

// maxShippingOptions is Stripe's limit.
const maxShippingOptions = 5

func judgeShippingOptions(v *verdict, plan catalog.Plan, page string, names []string, params catalog.Params) {
	switch {
	case names == nil:
		return
	case len(plan.ShippingOptions) == 0:
		v.refuse(problem.CatalogNotAllowed, "/shipping_options", "is not accepted by this plan")
		return
	case page == "hosted":
		v.refuse(problem.ValidationFailed, "/shipping_options", "cannot be changed on a hosted page")
		return
	case len(names) == 0 || len(names) > maxShippingOptions:
		// None at all would be delivery for nothing.
		v.refuse(problem.ValidationFailed, "/shipping_options", fmt.Sprintf("must have 1 to %d members", maxShippingOptions))
		return
	}
	options := make([]any, len(names))
	for i, name := range names {
		option, ok := plan.ShippingOptions[name]
		options[i] = option
		switch pointer := fmt.Sprintf("/shipping_options/%d", i); {
		case !ok:
			v.refuse(problem.CatalogNotAllowed, pointer, "is not a shipping option of this plan")
		case slices.Index(names, name) != i:
			v.refuse(problem.ValidationFailed, pointer, "is there twice")
		}
	}
	params["shipping_options"] = options
}

func judgeCollected(v *verdict, plan catalog.Plan, page string, info *CollectedInformation, params catalog.Params) {
	const at = "/collected_information"
	collects, _ := plan.Params["shipping_address_collection"].(map[string]any)
	switch {
	case info == nil:
		return
	case collects == nil:
		v.refuse(problem.CatalogNotAllowed, at, "this plan asks for no shipping address")
		return
	case page == "hosted":
		v.refuse(problem.ValidationFailed, at, "cannot be changed on a hosted page")
		return
	case info.ShippingDetails == nil:
		v.refuse(problem.ValidationFailed, at+"/shipping_details", "is required")
		return
	}
	details := catalog.Params{}
	judgeText(v, details, at+"/shipping_details/name", info.ShippingDetails.Name, maxName, true)
	if a := info.ShippingDetails.Address; a == nil {
		v.refuse(problem.ValidationFailed, at+"/shipping_details/address", "is required")
	} else {
		details["address"] = judgeAddress(v, at+"/shipping_details/address", *a, collects["allowed_countries"])
	}
	params["collected_information"] = catalog.Params{"shipping_details": details}
}

// Stripe's limits, in characters: of the name, and of any text.
const (
	maxName = 255
	maxText = 5000
)

func judgeAddress(v *verdict, at string, a Address, countries any) catalog.Params {
	out := catalog.Params{}
	for _, f := range []struct {
		name     string
		value    *string
		required bool
	}{
		{"line1", a.Line1, true},
		{"line2", a.Line2, false},
		{"city", a.City, false},
		{"state", a.State, false},
		{"postal_code", a.PostalCode, false},
		{"country", a.Country, true},
	} {
		judgeText(v, out, at+"/"+f.name, f.value, maxText, f.required)
	}
	allowed, _ := countries.([]any)
	if a.Country != nil && !slices.Contains(allowed, any(*a.Country)) {
		v.refuse(problem.ValidationFailed, at+"/country", "is not a country that this plan ships to")
	}
	return out
}

// judgeText writes value into out under the last name of pointer.
func judgeText(v *verdict, out catalog.Params, pointer string, value *string, limit int, required bool) {
	switch {
	case value == nil && required:
		v.refuse(problem.ValidationFailed, pointer, "is required")
	case value == nil:
	case *value == "":
		v.refuse(problem.ValidationFailed, pointer, "must not be empty")
	case utf8.RuneCountInString(*value) > limit || strings.ContainsRune(*value, 0):
		v.refuse(problem.ValidationFailed, pointer, fmt.Sprintf("has at most %d characters, and no NUL", limit))
	default:
		out[pointer[strings.LastIndexByte(pointer, '/')+1:]] = *value
	}
}

// judgeNewItems returns the line items that replace the session's. A plan that accepts
// a quantity only has one item, and that one stays.
func judgeNewItems(v *verdict, plan catalog.Plan, page string, items []CheckoutItem) []choice {
	const at = "/line_items"
	switch {
	case items == nil:
		return nil
	case !plan.AcceptsField(catalog.FieldLineItems) && !plan.AcceptsField(catalog.FieldQuantity):
		v.refuse(problem.CatalogNotAllowed, at, "is not accepted by this plan")
		return nil
	case page != "custom":
		v.refuse(problem.ValidationFailed, at, "can only be changed on a custom page")
		return nil
	}
	return judgeChoices(v, plan, items)
}

// explainUpdate turns Stripe's refusal of something the caller chose into what the
// caller can know.
func explainUpdate(err error, sent catalog.Params) error {
	member, _, _ := strings.Cut(paramOf(err), "[")
	if member == "" || sent[member] == nil || !isRefused(err) || hasCode(err, problem.SessionNotOpen) {
		return err
	}
	return problem.At(problem.ValidationFailed, "/"+member, "cannot be used for this session")
}
