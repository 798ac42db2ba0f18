package billing

// FlowRequest is the flow of a PortalRequest: the one thing that the caller is to do in
// the portal. Which members it may have depends on Type. A nil member was not sent.
type FlowRequest struct {
	Type            *string         `json:"type"`
	Subscription    *string         `json:"subscription"`
	Items           []FlowItem      `json:"items"`
	Discounts       []FlowDiscount  `json:"discounts"`
	Retention       *FlowRetention  `json:"retention"`
	AfterCompletion *FlowCompletion `json:"after_completion"`
}

// FlowItem is what becomes of an item of the subscription. Price is what callers know a
// line item of the catalogue by.
type FlowItem struct {
	ID       *string `json:"id"`
	Price    *string `json:"price"`
	Quantity *int64  `json:"quantity"`
}

// FlowDiscount is a coupon that the portal lists, or a promotion code as customers know it.
type FlowDiscount struct {
	Coupon        *string `json:"coupon"`
	PromotionCode *string `json:"promotion_code"`
}

// FlowRetention is what is offered to a customer who is about to cancel.
type FlowRetention struct {
	Type        *string          `json:"type"`
	CouponOffer *FlowCouponOffer `json:"coupon_offer"`
}

// FlowCouponOffer is a coupon that the portal lists.
type FlowCouponOffer struct {
	Coupon *string `json:"coupon"`
}

// FlowCompletion is what follows once the thing is done.
type FlowCompletion struct {
	Type               *string           `json:"type"`
	Redirect           *FlowRedirect     `json:"redirect"`
	HostedConfirmation *FlowConfirmation `json:"hosted_confirmation"`
}

// FlowRedirect is where the browser goes.
type FlowRedirect struct {
	ReturnURL *string `json:"return_url"`
}

// FlowConfirmation is what Stripe's page says.
type FlowConfirmation struct {
	CustomMessage *string `json:"custom_message"`
}

// PortalFlow is the flow of a portal session, by Stripe's names. Only the part that
// belongs to Type is there, the others are null.
type PortalFlow struct {
	Type            string          `json:"type"`
	AfterCompletion *FlowCompletion `json:"after_completion"`

	SubscriptionCancel        *PortalFlowCancel  `json:"subscription_cancel"`
	SubscriptionUpdate        *PortalFlowUpdate  `json:"subscription_update"`
	SubscriptionUpdateConfirm *PortalFlowConfirm `json:"subscription_update_confirm"`
}

// PortalFlowCancel is the flow that ends a subscription.
type PortalFlowCancel struct {
	Subscription ID                   `json:"subscription"`
	Retention    *PortalFlowRetention `json:"retention"`
}

// PortalFlowRetention is the offer to a customer who is about to cancel.
type PortalFlowRetention struct {
	Type        string                 `json:"type"`
	CouponOffer *PortalFlowCouponOffer `json:"coupon_offer"`
}

// PortalFlowCouponOffer names the coupon of the offer.
type PortalFlowCouponOffer struct {
	Coupon ID `json:"coupon"`
}

// PortalFlowUpdate is the flow in which the customer chooses what to change.
type PortalFlowUpdate struct {
	Subscription ID `json:"subscription"`
}

// PortalFlowConfirm is the flow in which the customer confirms one change.
type PortalFlowConfirm struct {
	Subscription ID                   `json:"subscription"`
	Items        []PortalFlowItem     `json:"items"`
	Discounts    []PortalFlowDiscount `json:"discounts"`
}

// PortalFlowItem is what becomes of an item of the subscription.
type PortalFlowItem struct {
	ID       ID     `json:"id"`
	Price    ID     `json:"price"`
	Quantity *int64 `json:"quantity"`
}

// PortalFlowDiscount is what the change is discounted by.
type PortalFlowDiscount struct {
	Coupon        ID `json:"coupon"`
	PromotionCode ID `json:"promotion_code"`
}

// Subscription is the one that the flow is about, if it is about one.
func (f PortalFlow) Subscription() ID {
	switch {
	case f.SubscriptionCancel != nil:
		return f.SubscriptionCancel.Subscription
	case f.SubscriptionUpdate != nil:
		return f.SubscriptionUpdate.Subscription
	case f.SubscriptionUpdateConfirm != nil:
		return f.SubscriptionUpdateConfirm.Subscription
	default:
		return ""
	}
}
