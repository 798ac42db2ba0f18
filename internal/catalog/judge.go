package catalog

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rules are what templates are judged by besides themselves.
type Rules struct {
	// Version is the Stripe-Version that sessions are created with; "" is 2023-10-16.
	Version string
	// Now is when moments in templates lie in the past; the zero time judges none.
	Now time.Time
}

func (r Rules) version() string {
	if r.Version == "" {
		return olderVersion
	}
	return r.Version
}

// judge holds values against shapes, and collects what is wrong.
type judge struct {
	findings
	rules Rules
	root  *shape // of the operation
}

// members judges a mapping of parameters. ours are those that cannot be set here, and why.
func (j *judge) members(at string, s *shape, params Params, ours map[string]string) {
	var meant []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		path := at + "." + name
		member, known := s.members[name]
		why, isOurs := ours[name]
		switch {
		case !known:
			meant = append(meant, j.unknown(path, s, name))
		case isOurs:
			j.add(path, "cannot be set here: %s", why)
		default:
			j.aged(path, "Stripe-Version %s may not have it", member.age)
			j.value(path, member, params[name])
		}
	}
	for _, name := range s.needed {
		if _, given := params[name]; !given && !slices.Contains(meant, name) {
			j.add(at+"."+name, "is required")
		}
	}
}

// unknown says that there is no such parameter, and returns the one that was meant.
func (j *judge) unknown(path string, s *shape, name string) string {
	near := Nearest(name, s.names())
	elsewhere := placesOf(j.root, name, 2)
	switch {
	case near != "":
		j.add(path, "Stripe has no such parameter%s", didYouMean(near))
	case len(elsewhere) == 1:
		j.add(path, "Stripe has no such parameter here; did you mean %s?", elsewhere[0])
	default:
		j.add(path, "Stripe has no such parameter; one that is newer than %s goes under params_unchecked", newerVersion)
	}
	return near
}

// placesOf are the paths in s, at most depth members down, that end with name.
func placesOf(s *shape, name string, depth int) []string {
	var all []string
	for _, outer := range s.names() {
		in := s.members[outer].inner()
		if in.members[name] != nil {
			all = append(all, outer+"."+name)
		}
		if depth > 1 {
			for _, deeper := range placesOf(in, name, depth-1) {
				all = append(all, outer+"."+deeper)
			}
		}
	}
	return all
}

// aged warns of what the version in use may not have. It is Stripe's to refuse: whether
// an older version takes newer parameters is not documented.
func (j *judge) aged(at, text string, a age) {
	version := j.rules.version()
	switch {
	case a == added && version < newerVersion:
		j.warn(at, text+": %s has it, %s has not", version, newerVersion, olderVersion)
	case a == gone && version > olderVersion:
		j.warn(at, text+": %s had it, %s has not", version, olderVersion, newerVersion)
	}
}

func (j *judge) value(at string, s *shape, v any) {
	if v == nil {
		j.add(at, "has no value")
		return
	}
	if s.clears && v == "" {
		return
	}
	switch s.kind {
	case object, table:
		if m, ok := v.(map[string]any); !ok {
			j.add(at, "must be a mapping")
		} else if s.kind == table {
			j.table(at, s, m)
		} else {
			j.members(at, s, m, nil)
		}
	case list:
		all, ok := v.([]any)
		if !ok {
			j.add(at, "must be a list")
			return
		}
		j.counted(at, len(all))
		for i, one := range all {
			j.value(fmt.Sprintf("%s.%d", at, i), s.elem, one)
		}
	default:
		j.scalar(at, s, v)
	}
}

// table judges names that are free. Those of texts are metadata, those of mappings
// currencies: Stripe has no others.
func (j *judge) table(at string, s *shape, m map[string]any) {
	if s.elem.kind == text {
		j.metadata(at, m)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !isCurrency(name) {
			j.add(at+"."+name, "must be three lower-case letters (ISO 4217)")
		}
		j.value(at+"."+name, s.elem, m[name])
	}
}

func (j *judge) scalar(at string, s *shape, v any) {
	word, single := Scalar(v)
	if !single {
		j.add(at, "must be a single value")
		return
	}
	if _, isTruth := v.(bool); isTruth != (s.kind == truth) && (isTruth || word != "true" && word != "false") {
		j.add(at, "must be %s", wanted[s.kind])
		return
	}
	switch s.kind {
	case integer, moment, number, decimal:
		j.number(at, s, word)
	case currency:
		if !isCurrency(word) {
			j.add(at, "must be %s", wanted[currency])
		}
	case choice:
		j.choice(at, s, word)
	case text:
		j.text(at, s, word)
	}
}

var wanted = map[kind]string{
	text: "a text", integer: "a whole number", number: "a number", decimal: "a number", choice: "a text",
	truth: "true or false", moment: "seconds since 1970", currency: "three lower-case letters (ISO 4217)",
}

func isCurrency(word string) bool {
	return len(word) == 3 && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == ""
}

func (j *judge) number(at string, s *shape, word string) {
	n, err := strconv.ParseFloat(word, 64)
	if s.kind == integer || s.kind == moment {
		var i int64
		i, err = strconv.ParseInt(word, 10, 64)
		n = float64(i)
	}
	limits, limited := bounds(at)
	switch {
	case err != nil || math.IsNaN(n) || math.IsInf(n, 0):
		j.add(at, "must be %s", wanted[s.kind])
	case limited && (n < float64(limits[0]) || n > float64(limits[1])):
		j.add(at, "must be between %d and %d", limits[0], limits[1])
	case s.kind == moment && !j.rules.Now.IsZero() && int64(n) <= j.rules.Now.Unix():
		j.add(at, "lies in the past")
	}
}

func (j *judge) choice(at string, s *shape, word string) {
	if slices.Contains(s.choices, word) {
		j.aged(at, "Stripe-Version %s may not have this value", s.ages[word])
		return
	}
	near := Nearest(word, s.choices)
	switch {
	case near != "":
		j.add(at, "%q is none of its values%s", word, didYouMean(near))
	case len(s.choices) <= 8:
		j.add(at, "%q is none of its values: %s", word, strings.Join(s.choices, ", "))
	default:
		j.add(at, "%q is none of its values", word)
	}
}

func (j *judge) text(at string, s *shape, word string) {
	n := len([]rune(word))
	switch {
	case word == "":
		j.add(at, "must not be empty: remove it")
	case s.max > 0 && n > s.max:
		j.add(at, "has %d characters: Stripe takes at most %d", n, s.max)
	case s.oldMax > 0 && n > s.oldMax && j.rules.version() < newerVersion:
		j.warn(at, "has %d characters: Stripe-Version %s takes at most %d, %s at most %d", n, olderVersion, s.oldMax, newerVersion, s.max)
	}
}

// counted judges how long a list is.
func (j *judge) counted(at string, n int) {
	most, limited := counts[rule(at)]
	switch {
	case n == 0:
		j.add(at, "is empty: give it a value or remove it")
	case limited && n > most:
		j.add(at, "has %d entries: Stripe takes at most %d", n, most)
	}
}

// MaxMetadataKeys is what is left of the 50 keys that Stripe takes where the service
// writes five of its own.
const MaxMetadataKeys = maxForeignKeys - 5

const maxForeignKeys = 50

// carriers are the metadata that the service writes into.
var carriers = []string{"metadata", "payment_intent_data.metadata", "setup_intent_data.metadata", "subscription_data.metadata"}

func (j *judge) metadata(at string, metadata map[string]any) {
	switch n := len(metadata); {
	case slices.Contains(carriers, rule(at)) && n > MaxMetadataKeys:
		j.add(at, "may have at most %d keys: Stripe takes 50, and the service writes the others", MaxMetadataKeys)
	case n > maxForeignKeys:
		j.add(at, "may have at most %d keys", maxForeignKeys)
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		switch word, single := Scalar(metadata[key]); {
		case strings.HasPrefix(key, "till_"):
			j.add(at+"."+key, "keys that begin with till_ are written by the service")
		case !single:
			j.add(at+"."+key, "must be a single value")
		case !ValidMetadataKey(key):
			j.add(at+"."+key, "Stripe takes keys of 1 to 40 characters without [ and ]")
		case len([]rune(word)) > 500:
			j.add(at+"."+key, "Stripe takes values of at most 500 characters")
		}
	}
}

// rule is the key of a place in counts and ranges: its path within Stripe's parameters,
// without indexes.
func rule(at string) string {
	var steps []string
	for step := range strings.SplitSeq(strings.TrimPrefix(at, "params."), ".") {
		if strings.Trim(step, "0123456789") != "" {
			steps = append(steps, step)
		}
	}
	return strings.Join(steps, ".")
}

// counts are how long lists may be. Stripe says so in words only.
var counts = map[string]int{
	"custom_fields": 3, "custom_fields.dropdown.options": 200, "discounts": 1, "optional_items": 10, "shipping_options": 5,
	"invoice_creation.invoice_data.custom_fields": 4,
}

// ranges are what numbers may be, by the end of their path. Stripe says so in words only.
var ranges = map[string][2]int64{
	"adjustable_quantity.minimum":                  {0, 999_999},
	"adjustable_quantity.maximum":                  {1, 999_999},
	"amount_percent":                               {0, 100},
	"application_fee_percent":                      {0, 100},
	"application_fee_amount":                       {0, largestAmount},
	"billing_cycle_anchor_config.day_of_month":     {1, 31},
	"billing_cycle_anchor_config.hour":             {0, 23},
	"billing_cycle_anchor_config.minute":           {0, 59},
	"billing_cycle_anchor_config.month":            {1, 12},
	"billing_cycle_anchor_config.second":           {0, 59},
	"fixed_amount.amount":                          {0, largestAmount},
	"konbini.expires_after_days":                   {1, 60},
	"maximum.value":                                {1, 999_999},
	"maximum_length":                               {0, 255},
	"minimum.value":                                {1, 999_999},
	"minimum_length":                               {0, 255},
	"optional_items.quantity":                      {1, 999_999},
	"pending_invoice_item_interval.interval_count": {1, 365},
	"pix.expires_after_seconds":                    {10, 1_209_600},
	"trial_period_days":                            {1, 730},
	"transfer_data.amount":                         {0, largestAmount},
}

// largestAmount is twelve digits, in the minor unit.
const largestAmount = 999_999_999_999

// bounds finds the range of a place by the longest end of its path.
func bounds(at string) ([2]int64, bool) {
	path := rule(at)
	for {
		if r, ok := ranges[path]; ok {
			return r, true
		}
		_, rest, more := strings.Cut(path, ".")
		if !more {
			return [2]int64{}, false
		}
		path = rest
	}
}
