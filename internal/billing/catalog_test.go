package billing_test

import "till/internal/catalog"

func prices() map[string]catalog.Price {
	price := func(id, key string, recurring, metered bool) catalog.Price {
		return catalog.Price{ID: id, LookupKey: key, Active: true, Livemode: true, Currency: "eur", Recurring: recurring, Metered: metered}
	}
	return map[string]catalog.Price{
		"price_pro":   price("price_pro", "pro_monthly", true, false),
		"price_meter": price("price_meter", "calls", true, true),
		"price_shirt": price("price_shirt", "", false, false),
		"price_mug":   price("price_mug", "", false, false),
	}
}

// plans returns fresh templates: a test may hold them against another copy.
func plans() []catalog.Plan {
	every := []catalog.Field{
		catalog.FieldSuccessURL, catalog.FieldCancelURL, catalog.FieldLocale, catalog.FieldCurrency,
		catalog.FieldPromotionCode, catalog.FieldMetadata,
	}
	shirt := catalog.LineItem{Price: catalog.PriceRef{ID: "price_shirt"}, Params: params{"adjustable_quantity": params{"enabled": true}}}
	return []catalog.Plan{
		{
			Name: "pro", Mode: catalog.ModeSubscription,
			LineItems: []catalog.LineItem{{
				Price: catalog.PriceRef{LookupKey: "pro_monthly"}, Quantity: &catalog.Quantity{Default: 2, Min: 1, Max: 50},
			}},
			Accepts: append([]catalog.Field{catalog.FieldQuantity}, every...),
			Params: params{
				"allow_promotion_codes": true, "locale": "de", "metadata": params{"source": "web"},
				"automatic_tax": params{"enabled": true}, "customer_update": params{"address": "auto"},
				"subscription_data": params{"trial_period_days": int64(14), "metadata": params{"team": "growth"}},
			},
		},
		{
			Name: "shop", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{shirt, {Price: catalog.PriceRef{ID: "price_mug"}}},
			Accepts: every,
			Params: params{
				"success_url": "https://app.example.com/thanks", "submit_type": "pay",
				"payment_intent_data": params{"capture_method": "manual"},
			},
		},
		{Name: "save-card", Mode: catalog.ModeSetup, Params: params{"currency": "eur"}},
		{
			Name: "usage", Mode: catalog.ModeSubscription, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{LookupKey: "calls"}}},
			Params: params{"cancel_url": "https://app.example.com/no"},
		},
		{
			Name: "embedded", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_mug"}}},
			Accepts: []catalog.Field{catalog.FieldReturnURL}, Params: params{"ui_mode": "embedded"},
		},
		{
			Name: "embedded-never", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_mug"}}},
			Params: params{"ui_mode": "embedded", "redirect_on_completion": "never"},
		},
		{
			Name: "gone", Mode: catalog.ModePayment, LineItems: []catalog.LineItem{{Price: catalog.PriceRef{ID: "price_gone"}}},
		},
	}
}

func portals() []catalog.Portal {
	return []catalog.Portal{
		{Name: "default", Params: params{"configuration": "bpc_1", "locale": "auto"}},
		{Name: "team", Params: params{"configuration": "bpc_2", "return_url": "https://app.example.com/team"}},
	}
}
