package stripeclient

import "net/http"

// NewPool is newPool, to compare its protocols.
func NewPool() *http.Transport { return newPool(nil) }
