package redirect_test

import (
	"testing"

	"till/internal/redirect"
)

func BenchmarkCheck(b *testing.B) {
	p, err := redirect.New(redirect.Options{Allow: []string{"https://app.example.com", "https://shop.example.com/pay"}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Check("https://shop.example.com/pay/done?session={CHECKOUT_SESSION_ID}#top"); err != nil {
			b.Fatal(err)
		}
	}
}
