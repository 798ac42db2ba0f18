package handlers_test

import (
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
)

func TestMain(m *testing.M) {
	// The contract serves itself as text; the validator would parse it.
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	os.Exit(m.Run())
}
