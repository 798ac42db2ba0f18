// Package web holds the pages that the service serves itself. Today that is the demo page
// of `till serve --dev`: files as they stand in demo/, with no build step. It knows nothing
// of the API but its paths.
package web

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"time"
)

//go:embed demo
var files embed.FS

// index is the page itself; every other file of demo/ keeps its place below /demo/.
const index = "index.html"

// contentTypes are written down because package mime asks the machine it runs on.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy allows what the pages do and nothing else: their own files, calls to their own
// origin. Browsers apply form-action to the redirect that answers a form too, and that goes
// to Stripe; a script's way there is a navigation, which no directive names.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; form-action 'self' https://checkout.stripe.com https://billing.stripe.com; " +
	"base-uri 'none'; frame-ancestors 'none'"

// Handler serves the demo page at /, and its files and the page without script below /demo/, to GET and HEAD. It gets
// tokens for anybody from POST /dev/token, so it belongs to development only.
func Handler() http.Handler {
	pages := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		page, ok := pages[r.URL.Path]
		switch {
		case !ok:
			http.Error(w, "There is no such thing here.", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "The method is not allowed here.", http.StatusMethodNotAllowed)
		default:
			h.Set("Content-Type", page.kind)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page.data))
		}
	})
}

type page struct {
	kind string
	data []byte
}

// load returns the files by the path they are served at. They are part of the program: one
// that cannot be read, or has no type, is a mistake in this directory, and a test finds it.
func load() map[string]page {
	entries, err := files.ReadDir("demo")
	if err != nil {
		panic(err)
	}
	all := map[string]page{}
	for _, entry := range entries {
		name := entry.Name()
		data, err := files.ReadFile(path.Join("demo", name))
		kind, known := contentTypes[path.Ext(name)]
		if err != nil || !known {
			panic("web: demo/" + name + " cannot be served")
		}
		at := "/demo/" + name
		if name == index {
			at = "/"
		}
		all[at] = page{kind, data}
	}
	return all
}
