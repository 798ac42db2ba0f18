//go:build contract

package contract_test

import (
	"net/http"
	"net/url"
	"strings"
)

// patchSession remembers a session that is created, and lets answers about it say so.
func (p *proxy) patchSession(x *exchange, at object, set func(string, any)) {
	form, parts := x.form(), strings.Split(x.path, "/")
	id, _ := at["id"].(string)
	switch {
	case x.method == http.MethodPost && len(parts) == 4:
		p.sessions[id] = object{"customer": form.Get("customer"), "metadata": sentMetadata(form)}
		if mode := form.Get("ui_mode"); mode != "" {
			p.sessions[id]["ui_mode"] = mode
		}
	case len(parts) == 4:
		// stripe-mock lists one session, of anybody.
		set("customer", form.Get("customer"))
		return
	default:
		id = parts[4]
		set("id", id)
	}
	if strings.HasSuffix(x.path, "/expire") {
		p.sessions[id]["status"] = "expired"
	}
	for field, value := range p.sessions[id] {
		set(field, value)
	}
}

// patchSubscription makes a subscription the one that was asked for, and the customer's.
func (p *proxy) patchSubscription(x *exchange, at object, set func(string, any)) {
	if parts := strings.Split(x.path, "/"); len(parts) == 4 {
		set("id", parts[3])
		set("customer", p.customer)
		return
	}
	p.customer = x.form().Get("customer")
	set("customer", p.customer)
}

// driveExisting uses what there is for sessions and subscriptions that exist, with every
// filter.
func (h *house) driveExisting() {
	h.t.Helper()
	carol := h.token("carol")
	id, _ := h.want(http.StatusCreated, http.MethodPost, "/checkout", carol, `{"plan":"pay"}`).body["id"].(string)
	for _, query := range []string{"", "?" + url.Values{
		"limit": {"100"}, "starting_after": {id}, "status": {"open"}, "payment_intent": {"pi_1"}, "subscription": {"sub_1"}, "payment_link": {"plink_1"},
		"created[gt]": {"1"}, "created[gte]": {"2"}, "created[lt]": {"4102444800"}, "created[lte]": {"4102444799"},
	}.Encode(), "?limit=1&created=1763726400&ending_before=" + id} {
		h.want(http.StatusOK, http.MethodGet, "/checkout"+query, carol, "")
	}
	for _, query := range []string{"", "?limit=100&starting_after=li_1", "?limit=1&ending_before=li_1"} {
		h.want(http.StatusOK, http.MethodGet, "/checkout/"+id+"/line_items"+query, carol, "")
	}
	for _, query := range []string{"", "?status=all&limit=100&starting_after=sub_1", "?status=past_due&ending_before=sub_1"} {
		h.want(http.StatusOK, http.MethodGet, "/subscriptions"+query, carol, "")
	}
	h.want(http.StatusOK, http.MethodGet, "/plans", carol, "")
	h.want(http.StatusOK, http.MethodPost, "/checkout/"+id+"/expire", carol, "")
	h.want(http.StatusConflict, http.MethodPost, "/checkout/"+id+"/expire", carol, "{}")
}
