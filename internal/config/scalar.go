package config

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"till/internal/secret"
)

// wrong is a value of the wrong form. Neither text shows the value.
type wrong struct{ text, fix string }

// plainInteger leaves out what YAML versions and people read differently: octal,
// hexadecimal, underscores, leading zeros, plus signs.
var plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,18})$`)

// setScalar reads text into a string, bool, int, duration or secret.
func setScalar(into reflect.Value, text string) *wrong {
	switch {
	case into.Type() == secretType:
		into.Set(reflect.ValueOf(secret.New(text)))
	case into.Type() == durationType:
		d, err := duration(text)
		if err != nil {
			return &wrong{"must be a duration with its unit", `write days, hours, minutes or seconds, such as "7d", "24h" or "90m"`}
		}
		into.SetInt(int64(d))
	case into.Kind() == reflect.String:
		into.SetString(text)
	case into.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return &wrong{"must be true or false", "write true or false, without quotes"}
		}
		into.SetBool(text == "true")
	default:
		return setInteger(into, text)
	}
	return nil
}

// duration reads whole days too; a day has 24 hours.
func duration(text string) (time.Duration, error) {
	const day, most = 24 * time.Hour, 100_000
	if days, ok := strings.CutSuffix(text, "d"); ok && plainInteger.MatchString(days) {
		if n, err := strconv.Atoi(days); err == nil && n >= -most && n <= most {
			return time.Duration(n) * day, nil
		}
	}
	return time.ParseDuration(text)
}

func setInteger(into reflect.Value, text string) *wrong {
	n, err := strconv.ParseInt(text, 10, into.Type().Bits())
	if err != nil || !plainInteger.MatchString(text) {
		return &wrong{"must be a whole number", "write decimal digits only, without quotes and leading zeros"}
	}
	into.SetInt(n)
	return nil
}
