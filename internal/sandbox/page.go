package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

var (
	pageStyle     = mustRead("pages/style.css")
	pageTemplates = template.Must(template.New("").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(pageStyle) }, //nolint:gosec // an embedded file, not input
	}).ParseFS(pageFiles, "pages/*.html"))
)

// mustRead reads an embedded file; that it exists is settled at build time.
func mustRead(name string) string {
	raw, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func (s *Sandbox) pageRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout/{secret}", s.page(checkoutPage))
	mux.HandleFunc("POST /checkout/{secret}/pay", s.form(s.page(checkoutPost)))
	mux.HandleFunc("GET /portal/{secret}", s.page(portalPage))
	mux.HandleFunc("POST /portal/{secret}/act", s.form(s.page(portalPost)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		sentencePage(http.StatusNotFound, "Page not found", "There is no such page here.").write(w)
	})
	return mux
}

// page runs one page under the lock and writes its reply after it, so that a
// slow reader holds nobody up.
func (s *Sandbox) page(run func(*call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.draw(r, run).write(w)
	}
}

func (s *Sandbox) draw(r *http.Request, run func(*call) reply) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return run(s.pageCall(r))
}

// form lets a form post through if the page itself sent it.
func (s *Sandbox) form(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		err := r.ParseForm()
		if err != nil || !hmac.Equal([]byte(r.PostForm.Get("csrf")), []byte(s.csrf(r.PathValue("secret")))) {
			sentencePage(http.StatusForbidden, "Please try again",
				"The form did not come from this page, or the page was too old. Go back, reload it and try again.").write(w)
			return
		}
		next(w, r)
	}
}

// reply is a page to draw or a place to go.
type reply struct {
	status   int
	name     string
	data     any
	targets  []string // URLs that the page's forms may end up at
	location string
}

// message is a page of one sentence.
type message struct{ Title, Text, Link, LinkText string }

func sentencePage(status int, title, text string) reply {
	return reply{status: status, name: "message.html", data: message{Title: title, Text: text}}
}

// linkPage is a sentence with a way on, left out if it leads nowhere.
func linkPage(status int, title, text, link, linkText string) reply {
	return reply{status: status, name: "message.html", data: message{title, text, link, linkText}}
}

func unknownLink() reply {
	return sentencePage(http.StatusNotFound, "Page not found", "This link leads nowhere. Check that it is complete.")
}

// see answers a form post with where to go next; a relative target works
// wherever the sandbox is mounted.
func see(target string) reply { return reply{status: http.StatusSeeOther, location: target} }

func (p reply) write(w http.ResponseWriter) {
	var b bytes.Buffer
	if p.name != "" {
		if err := pageTemplates.ExecuteTemplate(&b, p.name, p.data); err != nil {
			http.Error(w, "The sandbox could not draw this page.", http.StatusInternalServerError)
			return
		}
	}
	pageHeaders(w, p.targets)
	if p.location != "" {
		w.Header().Set("Location", p.location)
	}
	w.WriteHeader(p.status)
	w.Write(b.Bytes())
}

// pageHeaders: browsers apply form-action to the redirect after a POST too,
// so that the policy names the sites that a form may lead to.
func pageHeaders(w http.ResponseWriter, targets []string) {
	sum := sha256.Sum256([]byte(pageStyle))
	actions := "'self'"
	for _, target := range targets {
		actions += sourceOf(target)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; form-action "+actions+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// plainHost leaves no room for a character that means something in a policy.
var plainHost = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?$`)

// sourceOf is a URL's origin as one more source of a policy.
func sourceOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !plainHost.MatchString(u.Host) {
		return ""
	}
	return " " + u.Scheme + "://" + u.Host
}

// csrf is the secret of one page's forms.
func (s *Sandbox) csrf(page string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(page))
	return hex.EncodeToString(mac.Sum(nil))
}

// hostOf names a site for a link's text.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Hostname(), "www.")
}
