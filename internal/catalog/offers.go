package catalog

import (
	"maps"
	"slices"
)

// Plans returns every plan, by name.
func (c *Catalog) Plans() []Plan {
	plans := make([]Plan, 0, len(c.plans))
	for _, name := range slices.Sorted(maps.Keys(c.plans)) {
		plans = append(plans, c.plans[name])
	}
	return plans
}
