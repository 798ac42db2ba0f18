package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var zeroDecimal = []string{"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"}

var currencySigns = map[string]string{"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}

// money writes minor units for people: "$20.00", "20.00 CHF".
func money(amount int64, currency string) string {
	text := fmt.Sprintf("%d.%02d", amount/100, amount%100)
	if slices.Contains(zeroDecimal, currency) {
		text = fmt.Sprint(amount)
	}
	if sign := currencySigns[currency]; sign != "" {
		return sign + text
	}
	return text + " " + strings.ToUpper(currency)
}

// off writes a reduction.
func off(amount int64, currency string) string { return "−" + money(amount, currency) }

// every writes a billing interval: "per month", "every 3 months".
func every(recurring object) string {
	interval := stringOf(recurring, "interval")
	if count, _ := recurring["interval_count"].(int64); count > 1 {
		return fmt.Sprintf("every %d %ss", count, interval)
	}
	return "per " + interval
}

// date writes a unix time for people.
func date(unix any) string {
	at, _ := unix.(int64)
	return time.Unix(at, 0).UTC().Format("2 January 2006")
}
