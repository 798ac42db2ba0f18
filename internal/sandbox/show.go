package sandbox

// show renders an object as the request's API version has it.
func (c *call) show(kind string, r *record) object {
	c.refresh(kind, r)
	if r.fields["deleted"] == true {
		return r.fields
	}
	out := over(c.tables[kind].template, r.fields)
	if kind == "checkout.session" {
		out["ui_mode"] = spellUIMode(stringOf(out, "ui_mode"), c.version)
	}
	return out
}

// refresh lets time pass for one object: sessions expire and subscriptions
// renew when somebody looks, not by a timer.
func (c *call) refresh(kind string, r *record) {
	switch kind {
	case "checkout.session":
		c.expireIfDue(r)
	case "subscription":
		c.renewIfDue(r)
	}
}
