package catalog

// Parameter is one of Stripe's for a session, as documents list it.
type Parameter struct {
	Name string
	// Values is how many values it has, at any depth.
	Values int
	// Added says that 2023-10-16 does not have it.
	Added bool
	// Ours is why a template cannot set it; "" if it can.
	Ours string
}

// CheckoutParameters lists the parameters of POST /v1/checkout/sessions by name.
func CheckoutParameters() []Parameter { return parametersOf(checkoutShape()) }

// PortalParameters lists the parameters of POST /v1/billing_portal/sessions by name.
func PortalParameters() []Parameter { return parametersOf(portalShape()) }

func parametersOf(s *shape) []Parameter {
	var all []Parameter
	for _, name := range s.names() {
		p := s.members[name]
		all = append(all, Parameter{Name: name, Values: p.leaves(), Added: p.age == added, Ours: sessionOurs[name]})
	}
	return all
}
