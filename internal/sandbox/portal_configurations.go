package sandbox

import (
	"net/http"
	"slices"
)

// noFeatures is a configuration in which nothing is enabled, with all its parts.
var noFeatures = object{
	"customer_update":       object{"allowed_updates": []any{}, "enabled": false},
	"invoice_history":       object{"enabled": false},
	"payment_method_update": object{"enabled": false, "payment_method_configuration": nil},
	"subscription_cancel": object{
		"enabled": false, "mode": "at_period_end", "proration_behavior": "none",
		"cancellation_reason": object{"enabled": false, "options": []any{}, "feedback_options": nil},
	},
	"subscription_pause": object{"enabled": false},
	"subscription_update": object{
		"enabled": false, "default_allowed_updates": []any{}, "proration_behavior": "none",
		"billing_cycle_anchor": nil, "products": []any{}, "trial_update_behavior": "end_trial",
		"schedule_at_period_end": object{"conditions": []any{}},
	},
}

// features lays the given ones over base.
func features(base object, given params) object {
	out := laid(base, object(given), noFeatures)
	update, _ := out["subscription_update"].(object)
	if products, _ := update["products"].([]any); len(products) > 0 {
		out["subscription_update"] = over(update, object{"products": shownProducts(products)})
	}
	return out
}

// laid lays given over base, part by part; what is unset becomes what none has.
func laid(base, given, none object) object {
	out := over(base, nil)
	for name, value := range given {
		parts, nested := value.(object)
		switch {
		case value == "":
			out[name] = none[name]
		case nested:
			old, _ := base[name].(object)
			empty, _ := none[name].(object)
			out[name] = laid(old, parts, empty)
		default:
			out[name] = value
		}
	}
	return out
}

// shownProducts fills in what a request may leave out.
func shownProducts(products []any) []any {
	out := make([]any, len(products))
	for i, p := range products {
		product, _ := p.(object)
		given, _ := product["adjustable_quantity"].(object)
		usual := object{"enabled": false, "minimum": int64(1), "maximum": nil}
		out[i] = over(product, object{"adjustable_quantity": over(usual, given)})
	}
	return out
}

func createConfiguration(c *call) (any, error) {
	fields := object{
		"active": true, "is_default": false, "updated": c.now,
		"features": features(noFeatures, c.params.sub("features")), "metadata": c.params.metadata(object{}),
	}
	c.configurationFields(fields)
	r, err := c.create("billing_portal.configuration", newLongID("bpc"), fields, nil)
	if err != nil {
		return nil, err
	}
	return c.show("billing_portal.configuration", r), nil
}

func updateConfiguration(c *call) (any, error) {
	r, err := c.fromPath("billing_portal.configuration", "configuration")
	if err != nil {
		return nil, err
	}
	if r.fields["is_default"] == true && c.params["active"] == false {
		return nil, invalid("", "active", "The default configuration cannot be deactivated.")
	}
	old, _ := r.fields["features"].(object)
	changes := object{
		"features": features(old, c.params.sub("features")), "updated": c.now,
		"metadata": c.params.metadata(metadataOf(r.fields)),
	}
	c.params.reflect(changes, "active")
	c.configurationFields(changes)
	r.set(changes)
	return c.show("billing_portal.configuration", r), nil
}

func (c *call) configurationFields(fields object) {
	c.params.reflect(fields, "default_return_url", "name")
	if c.params.has("business_profile") {
		empty := object{"headline": nil, "privacy_policy_url": nil, "terms_of_service_url": nil}
		fields["business_profile"] = laid(empty, object(c.params.sub("business_profile")), empty)
	}
	if c.params.has("login_page") {
		fields["login_page"] = object{"enabled": c.params.sub("login_page").bool("enabled"), "url": nil}
	}
}

// enabled says whether a configuration allows a feature.
func enabled(config *record, feature string) bool {
	all, _ := config.fields["features"].(object)
	part, _ := all[feature].(object)
	return part["enabled"] == true
}

// forgetPortalSettings makes the account one whose portal settings were never saved:
// it has no default configuration, and portals that name none cannot be opened.
func (s *Sandbox) forgetPortalSettings(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.state.tables["billing_portal.configuration"]
	t.rows = slices.DeleteFunc(slices.Clone(t.rows), func(r *record) bool {
		if r.fields["is_default"] == true {
			delete(t.byID, r.id)
			return true
		}
		return false
	})
	return object{"forgotten": true}, nil
}
