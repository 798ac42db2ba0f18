package sandbox

import "slices"

func productOperations() []operation {
	return []operation{
		{"products.create", "POST /v1/products", createProduct},
		{"products.retrieve", "GET /v1/products/{id}", retrieve("product", "id")},
		{"products.list", "GET /v1/products", listProducts},
	}
}

func createProduct(c *call) (any, error) {
	r, err := c.newProduct(c.params, true)
	if err != nil {
		return nil, err
	}
	return c.show("product", r), nil
}

// newProduct stores a product described by `name` and friends, whether they
// are the request's own parameters or somebody's product_data.
func (c *call) newProduct(p params, active bool) (*record, error) {
	id := orElse(p.str("id"), newID("prod"))
	if c.find("product", id) != nil {
		return nil, invalid("resource_already_exists", "id", "Product already exists.")
	}
	fields := object{"name": p.str("name"), "active": p.or("active", active), "updated": c.now, "metadata": p.metadata(object{})}
	p.reflect(fields, "description", "images", "shippable", "statement_descriptor", "tax_code",
		"unit_label", "url", "features", "marketing_features", "package_dimensions")
	return c.create("product", id, fields, nil)
}

func listProducts(c *call) (any, error) {
	same := c.equals("active", "url")
	ids := c.params.strings("ids")
	return c.list(listing{kind: "product", match: func(r *record) bool {
		return same(r) && (len(ids) == 0 || slices.Contains(ids, r.id))
	}})
}
