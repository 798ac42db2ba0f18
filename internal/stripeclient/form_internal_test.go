package stripeclient

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76/form"

	"till/internal/catalog"
)

// flatten is the form in stripe-go's own words, to be compared with.
func flatten(values *form.Values, name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			flatten(values, name+"["+key+"]", v[key])
		}
	case []any:
		for i, item := range v {
			flatten(values, name+"["+strconv.Itoa(i)+"]", item)
		}
	default:
		text, _ := catalog.Scalar(v)
		values.Add(name, text)
	}
}

// anyValue is deep and odd: what a caller's metadata can hold.
func anyValue(r *rand.Rand, depth int) any {
	switch r.IntN(6 + 2*min(depth, 1)) {
	case 0:
		return r.IntN(2) == 0
	case 1:
		return r.IntN(1e6)
	case 2:
		return r.Int64()
	case 3:
		return float64(r.IntN(1000)) / 8
	case 6:
		object := map[string]any{}
		for range r.IntN(5) {
			object[anyText(r)+strconv.Itoa(r.IntN(3))] = anyValue(r, depth-1)
		}
		return object
	case 7:
		var list []any
		for range r.IntN(4) {
			list = append(list, anyValue(r, depth-1))
		}
		return list
	default:
		return anyText(r)
	}
}

func anyText(r *rand.Rand) string {
	const alphabet = "aZ09-_.~ []{}&=+%?#/:;,'\"\\\x00\x7f\r\n\xffé€😀"
	var b strings.Builder
	for range r.IntN(12) {
		at := r.IntN(len(alphabet))
		b.WriteString(alphabet[at : at+1+r.IntN(min(3, len(alphabet)-at))])
	}
	return b.String()
}

func TestAFormIsWrittenAsStripeGoWould(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 9))
	for range 2000 {
		params, want := catalog.Params{}, &form.Values{}
		for range random.IntN(8) {
			params["n"+anyText(random)] = anyValue(random, 4)
		}
		for _, name := range slices.Sorted(maps.Keys(params)) {
			flatten(want, name, params[name])
		}
		got, err := encode(params)
		if err != nil {
			t.Fatal(err)
		}
		if got != want.Encode() {
			t.Fatalf("%#v\n got %s\nwant %s", params, got, want.Encode())
		}
	}
}

func TestWhatIsNoParameterIsRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []any{nil, struct{}{}, []string{"a"}, map[string]string{}, []any{nil}} {
		if got, err := encode(catalog.Params{"metadata": map[string]any{"a": value}}); err == nil || got != "" {
			t.Errorf("%#v: written as %q", value, got)
		}
	}
}
