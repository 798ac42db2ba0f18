package handlers

import "testing"

// TestLoopbackOrigins: development allows every port of this machine, and nothing that only
// looks like it; without development none of them is anything.
func TestLoopbackOrigins(t *testing.T) {
	t.Parallel()
	for origin, ok := range map[string]bool{
		"http://localhost": true, "http://localhost:3000": true, "https://localhost:8443": true,
		"http://127.0.0.1:5173": true, "https://127.0.0.1": true, "http://[::1]:5173": true,
		"": false, "null": false, "localhost": false, "//localhost": false, "http://": false, "http://%zz": false,
		"ws://localhost": false, "file://localhost": false, "HTTP://localhost": false, "http://LOCALHOST": false,
		"http://localhost/": false, "http://localhost:3000/x": false, "http://localhost?": false, "http://localhost#": false,
		"http://a@localhost": false, "http://localhost.evil.example": false, "http://evil.example": false, "http://localhost.": false,
		"http://127.0.0.2": false, "http://127.1": false, "http://[::2]": false, "http://0.0.0.0": false,
	} {
		development, service := &server{o: Options{LoopbackOrigins: true}}, &server{}
		if got := development.originAllowed(origin); got != ok {
			t.Errorf("%q: got %t", origin, got)
		}
		if service.originAllowed(origin) {
			t.Errorf("%q is allowed outside development", origin)
		}
	}
}
