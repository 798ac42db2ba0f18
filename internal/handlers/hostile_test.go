package handlers_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"till/internal/auth/devissuer"
	"till/internal/billing"
)

// TestHostileBodies sends every line of testdata/bodies.txt, with a bearer token
// and with a cookie: the answer is the one that the line says, and Stripe hears of
// none.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	before, sent := h.stripeCalls(""), 0
	same := proof{header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
	carriers := []request{{token: h.token("alice")}, {header: same.with(h.token("alice"))}}
	for i, line := range lines(t, "testdata/bodies.txt") {
		head, body, ok := strings.Cut(line, " | ")
		expect := strings.Fields(head)
		if !ok || len(expect) < 3 || len(expect) > 4 {
			t.Fatalf("line %d cannot be read: %s", i, line)
		}
		for _, route := range routesOf(expect) {
			for _, r := range carriers {
				r.method, r.path, r.body = route.method, route.path, wireBytes(body, "")
				sent++
				if got, want := verdict(t, h.send(r), expect); got != want {
					t.Errorf("%s %s %.200q\n got %s\nwant %s", r.method, r.path, body, got, want)
				}
			}
		}
	}
	if sent < 500 {
		t.Errorf("only %d bodies were sent", sent)
	}
	if after := h.stripeCalls(""); after != before {
		t.Errorf("%d calls reached Stripe", after-before)
	}
	t.Logf("%d bodies refused, as their lines say", sent)
}

// routesOf: a line is for POST /checkout unless it names another route, or both.
func routesOf(expect []string) []request {
	post := func(path string) request { return request{method: http.MethodPost, path: path} }
	// What cannot be read is refused before anybody looks whose session it is.
	session := "/checkout/cs_test_a"
	patch, expire := request{method: http.MethodPatch, path: session}, post(session+"/expire")
	switch {
	case len(expect) == 3:
		return []request{post("/checkout")}
	case expect[3] == "both":
		return []request{post("/checkout"), post("/portal"), patch, expire}
	case expect[3] == "patch":
		return []request{patch}
	case expect[3] == "expire":
		return []request{expire}
	default:
		return []request{post(expect[3])}
	}
}

func verdict(t *testing.T, res response, expect []string) (got, want string) {
	t.Helper()
	got, want = fmt.Sprintf("%d %s", res.status, res.text(t, "code")), strings.Join(expect[:2], " ")
	if expect[2] == "~" {
		return got, want
	}
	return got + " " + res.pointer(t), want + " " + strings.TrimPrefix(unescape(expect[2]), "-")
}

func lines(t *testing.T, file string) map[int]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]string{}
	for i, line := range strings.Split(string(data), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			rows[i+1] = line
		}
	}
	return rows
}

// sortedLines are the lines in the order of the file.
func sortedLines(t *testing.T, file string) []string {
	t.Helper()
	rows := lines(t, file)
	var all []string
	for _, i := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, rows[i])
	}
	return all
}

var byteEscape = regexp.MustCompile(`\\x[0-9a-f]{2}`)

func unescape(s string) string {
	return byteEscape.ReplaceAllStringFunc(s, func(e string) string {
		n, _ := strconv.ParseUint(e[2:], 16, 8)
		return string([]byte{byte(n)})
	})
}

// pointer is the first member that the problem names.
func (r response) pointer(t *testing.T) string {
	t.Helper()
	var doc struct {
		Errors []struct {
			Pointer string `json:"pointer"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(r.body, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Errors) == 0 {
		return ""
	}
	return doc.Errors[0].Pointer
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for _, row := range []struct {
		contentType string
		status      int
	}{
		{"application/json", 201},
		{"application/json; charset=utf-8", 201},
		{"application/json;charset=UTF-8", 201},
		{"APPLICATION/JSON", 201},
		{"application/json; charset=utf-16", 415},
		{"application/json; charset=latin1", 415},
		{"application/json; boundary=x", 415},
		{"text/plain", 415},
		{"text/json", 415},
		{"application/x-www-form-urlencoded", 400}, // read as a form, with a field of that name
		{"multipart/form-data; boundary=x", 415},
		{"application/xml", 415},
		{"application/merge-patch+json", 415},
		{"application/problem+json", 415},
		{"json", 415},
		{"application/json, text/plain", 415},
		{";", 415},
	} {
		res := h.send(request{method: "POST", path: "/checkout", token: alice, body: `{"plan":"tshirt"}`, contentType: row.contentType})
		if res.status != row.status {
			t.Errorf("%q: got %d, want %d", row.contentType, res.status, row.status)
		}
	}
	two := h.send(request{
		method: "POST", path: "/checkout", token: alice, body: `{"plan":"tshirt"}`,
		header: http.Header{"content-type": {"application/json", "text/plain"}},
	})
	if two.status != 415 {
		t.Errorf("two content types: got %d", two.status)
	}
}

// TestBodiesThatAreMissing: where a body is required, its media type is judged first; where
// it is optional, none at all is no body of a wrong type.
func TestBodiesThatAreMissing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.post("/checkout", alice, `{"plan":"pro"}`), 201, "")
	for contentType, statuses := range map[string][2]int{"": {400, 201}, "application/json": {400, 201}, "text/plain": {415, 201}} {
		for i, path := range []string{"/checkout", "/portal"} {
			res := h.send(request{method: "POST", path: path, token: alice, contentType: contentType})
			if res.status != statuses[i] {
				t.Errorf("%s of type %q: got %d, want %d", path, contentType, res.status, statuses[i])
			}
		}
	}
}

// TestEveryBadCredentialLooksTheSame: the reason is in the metric, and the
// caller learns nothing but that it was not accepted.
func TestEveryBadCredentialLooksTheSame(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	good := h.token("alice")
	other, err := devissuer.New("https://other.example.com", "till", clock)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := other.Mint(devissuer.Claims{Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	requestID := http.Header{"X-Request-Id": {"same"}}
	var first response
	for i, token := range []string{"x", good + "x", good[:len(good)-4], stranger, "a.b.c", strings.Repeat("a", 8193)} {
		for _, o := range operations("cs_test_1") {
			r := o.with(token)
			r.header = requestID.Clone()
			res := h.send(r)
			res.header.Del("Date")
			if i == 0 && first.status == 0 {
				first = res
			}
			if diff := cmp.Diff([]any{401, string(first.body), first.header}, []any{res.status, string(res.body), res.header}); diff != "" {
				t.Errorf("token %d on %s differs (-first +this):\n%s", i, o.path, diff)
			}
		}
	}
	if got := first.header.Get("Www-Authenticate"); got != `Bearer error="invalid_token"` {
		t.Errorf("challenge: %q", got)
	}
	if got := h.get("/checkout/x", "").header.Get("Www-Authenticate"); got != "Bearer" {
		t.Errorf("challenge without a credential: %q", got)
	}
	if n := h.stripeCalls("customers.create"); n != 0 {
		t.Errorf("%d customers were created", n)
	}
}

// TestOneOwnersSessionIsUnknownToEveryOther compares whole answers.
func TestOneOwnersSessionIsUnknownToEveryOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	id := h.post("/checkout", h.token("alice"), `{"plan":"pro"}`).text(t, "id")
	want(t, h.post("/checkout", h.token("bob"), `{"plan":"pro"}`), 201, "")

	tokens := map[string]string{
		"another person":             h.token("bob"),
		"a person without customer":  h.token("dora"),
		"the person's organisation":  h.mint(devissuer.Claims{Subject: "alice", Org: "org_1", Role: "owner"}),
		"an organisation named like": h.mint(devissuer.Claims{Subject: "x", Org: "alice", Role: "owner"}),
		"a name in another case":     h.token("Alice"),
		"a name with a space":        h.token("alice "),
	}
	for name, token := range tokens {
		ask := func(id string) response {
			res := h.send(request{method: "GET", path: "/checkout/" + id, token: token, header: http.Header{"X-Request-Id": {"same"}}})
			res.header.Del("Date")
			return res
		}
		unknown := ask("cs_test_" + strings.Repeat("a", 58))
		want(t, unknown, 404, "not_found")
		if diff := cmp.Diff(unknown, ask(id), cmp.AllowUnexported(response{})); diff != "" {
			t.Errorf("%s can tell the session from an unknown one:\n%s", name, diff)
		}
	}
	want(t, h.get("/checkout/"+id, h.token("alice")), 200, "")
}

// TestIdsThatAreNoneReachNobody sends every line of testdata/ids.txt.
func TestIdsThatAreNoneReachNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	want(t, h.post("/checkout", alice, `{"plan":"pro"}`), 201, "")
	before := h.stripeCalls("")
	all := sortedLines(t, "testdata/ids.txt")
	for _, line := range all {
		head, id, ok := strings.Cut(line, " | ")
		expect := strings.Fields(head)
		if !ok || len(expect) != 2 {
			t.Fatalf("cannot be read: %s", line)
		}
		bytes := "GET /checkout/" + wireBytes(id, "") + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + alice + "\r\nConnection: close\r\n\r\n"
		if got := h.exchange(t, bytes); got != expect[1] {
			t.Errorf("%s %q: got %s, want %s", expect[0], id, got, expect[1])
		}
		if strings.ContainsAny(id, "/?#") {
			continue // another path on the routes below
		}
		for _, route := range belowIDs {
			if got := h.exchange(t, route.bytes(id, alice)); got != expect[1] {
				t.Errorf("%s %s %q%s: got %s, want %s", expect[0], route.method, id, route.path, got, expect[1])
			}
		}
	}
	if after := h.stripeCalls(""); after != before {
		t.Errorf("%d calls reached Stripe", after-before)
	}
	t.Logf("%d ids", len(all))
}

// belowIDs are the other routes with an id, with what stands behind it.
var belowIDs = []request{
	{method: "GET", path: "/line_items"},
	{method: "POST", path: "/expire"},
	{method: "PATCH", body: `{"metadata":{"a":"b"}}`},
}

// bytes is the request for an id, as it is.
func (r request) bytes(id, token string) string {
	return fmt.Sprintf("%s /checkout/%s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", r.method, wireBytes(id, ""), r.path, token, len(r.body), r.body)
}

// TestAnExpandedCustomerIsComparedById: P10.
func TestAnExpandedCustomerIsComparedById(t *testing.T) {
	t.Parallel()
	var id billing.ID
	if err := json.Unmarshal([]byte(`{"id":"cus_1","object":"customer","email":"a@example.com"}`), &id); err != nil || id != "cus_1" {
		t.Errorf("got %q, %v", id, err)
	}
}

func TestQueriesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	id := h.post("/checkout", alice, `{"plan":"pro"}`).text(t, "id")
	for _, path := range []string{
		"/checkout/" + id + "?customer=cus_other", "/checkout/" + id + "?expand[]=customer", "/checkout/" + id + "?",
		"/checkout/" + id + "?payment_status=paid",
	} {
		want(t, h.get(path, alice), 400, "malformed_request")
	}
	want(t, h.post("/checkout?plan=pro", alice, `{"plan":"pro"}`), 400, "malformed_request")
	want(t, h.post("/checkout/"+id+"/expire?force=true", alice, ""), 400, "malformed_request")
	want(t, h.patch("/checkout/"+id+"?status=open", alice, `{"metadata":{"a":"b"}}`), 400, "malformed_request")
	want(t, h.post("/portal?customer=cus_other", alice, ""), 400, "malformed_request")
}

func TestPathsAreTakenLiterally(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	for _, path := range []string{"/portal/", "//portal", "/./portal", "/%70ortal", "/portal%2f", "/PORTAL", "/checkout/..%2fportal", "/portal;x"} {
		if res := h.post(path, h.token("alice"), ""); res.status != 404 && res.status != 405 {
			t.Errorf("%s: got %d", path, res.status)
		}
	}
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "WHATEVER"} {
		res := h.send(request{method: method, path: "/portal", token: h.token("alice")})
		if res.status != 405 || res.header.Get("Allow") != "OPTIONS, POST" {
			t.Errorf("%s /portal: got %d, Allow %q", method, res.status, res.header.Get("Allow"))
		}
	}
}

// TestTextsArriveAsTheyAre: J37, J38. What is only text is kept byte by byte, and is
// escaped where it is written down (checkLog).
func TestTextsArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	for _, text := range []string{
		"\u202eevil\u202c", "a\u200bb", "\ufeff", "é", "e\u0301", "Ω≈ç√∫˜µ≤≥÷", "田中さん", "👩‍👩‍👧‍👦", "Z̮̞̠͙͔ͅA", "\u2028\u2029", "'; DROP TABLE customers; --",
		"<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "%s%n%x", "\\", `"`, "\u0085", "true", "null", "NaN", "1e400", "0x10", "../..", "a\nb", "a\r\nb: c",
		"\x1b[31m", "\x7f", "&a=b", "a[b]=c", strings.Repeat("é", 500), "\u200ftest\u200f", "﷽", "𝓣𝓮𝔁𝓽", "\U0010fffd",
	} {
		body, err := json.Marshal(map[string]any{"plan": "tshirt", "metadata": map[string]string{"ref": text}})
		if err != nil {
			t.Fatal(err)
		}
		res := h.post("/checkout", alice, string(body))
		metadata, _ := res.member(t, "metadata").(map[string]any)
		if res.status != 201 || metadata["ref"] != text {
			t.Errorf("%q: %d %s", text, res.status, res.body)
		}
	}
}
