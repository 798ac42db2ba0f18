// Package till holds what belongs to the service as a whole: its contract.
package till

import _ "embed" // for the contract

// OpenAPI is openapi.yaml, the contract of the public listener. It is served as it
// stands here, and nobody may change it.
//
//go:embed openapi.yaml
var OpenAPI []byte
