package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"till/internal/audit"
	"till/internal/auth/devissuer"
	"till/internal/problem"
	"till/internal/store/storetest"
)

const barrier = "barrier"

// audited are the events in the database so far. The Log of the house is Sync and
// keeps the order, so what was recorded before the barrier is stored when it is.
func (h *house) audited() []audit.Event {
	h.t.Helper()
	h.audit.Record(h.t.Context(), audit.Event{Action: barrier, Outcome: audit.OK})
	all, err := h.rows.Events(h.t.Context(), audit.Position{}, time.Now().Add(time.Hour), 1_000_000)
	if err != nil {
		h.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e audit.Event) bool { return e.Action == barrier })
}

// auditedBy are those of one request.
func (h *house) auditedBy(r response) []audit.Event {
	h.t.Helper()
	return slices.DeleteFunc(h.audited(), func(e audit.Event) bool { return e.RequestID != r.header.Get("X-Request-Id") })
}

// writes are one request for each unsafe route that is carried out.
var writes = map[string]func(h *house, token string) request{
	"POST /checkout": func(*house, string) request {
		return request{method: "POST", path: "/checkout", body: `{"plan":"pro"}`}
	},
	"POST /portal": func(*house, string) request { return request{method: "POST", path: "/portal"} },
	"PATCH /checkout/:id": func(h *house, token string) request {
		id := h.post("/checkout", token, `{"plan":"tshirt"}`).text(h.t, "id")
		return request{method: "PATCH", path: "/checkout/" + id, body: `{"metadata":{"ref":"42"}}`}
	},
	"POST /checkout/:id/expire": func(h *house, token string) request {
		id := h.post("/checkout", token, `{"plan":"tshirt"}`).text(h.t, "id")
		return request{method: "POST", path: "/checkout/" + id + "/expire"}
	},
}

// silent are the codes of refusals that leave no row.
var silent = []problem.Code{
	problem.MalformedRequest, problem.Unauthenticated, problem.UnsupportedMediaType, problem.PayloadTooLarge,
}

// TestEveryUnsafeRouteLeavesARow walks what is registered: a route that somebody adds
// without a row, or without a line above, fails here.
func TestEveryUnsafeRouteLeavesARow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice := h.token("alice")
	walked := 0
	for _, route := range h.routes {
		name := route.Method + " " + route.Path
		if slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, route.Method) || name == "POST /dev/token" {
			continue
		}
		walked++
		if writes[name] == nil {
			t.Errorf("%s: no request is known that it carries out", name)
			continue
		}
		good := writes[name](h, alice)
		good.token = alice
		res := h.send(good)
		rows := h.auditedBy(res)
		if res.status >= 400 || len(rows) != 1 || rows[0].Outcome != audit.OK || rows[0].Action == "" || rows[0].Object != res.text(t, "id") {
			t.Errorf("%s: %d %s left %+v", name, res.status, res.body, rows)
		}

		forged, stranger, broken, typed := good, good, good, good
		forged.token, forged.header = "", http.Header{"Cookie": {sessionCookie + "=" + alice}}
		stranger.token = alice + "x"
		broken.body = "{"
		typed.contentType, typed.body = "text/plain", "x"
		for what, r := range map[string]request{"forged": forged, "unknown": stranger, "broken": broken, "of another type": typed} {
			res, want := h.send(r), []problem.Code(nil)
			if res.status >= 400 {
				want = []problem.Code{problem.Code(res.text(t, "code"))}
			} else {
				want = []problem.Code{audit.OK} // a route without a body does not mind
			}
			if slices.Contains(silent, want[0]) {
				want = nil
			}
			var got []problem.Code
			for _, e := range h.auditedBy(res) {
				got = append(got, e.Outcome)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: %d %s (-want +got):\n%s", name, what, res.status, res.body, diff)
			}
		}
	}
	if walked < 2 {
		t.Errorf("%d routes", walked)
	}
}

func TestARowSaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	member := h.mint(devissuer.Claims{Subject: "carol", Org: "org_1", Role: "owner"})
	reader := h.mint(devissuer.Claims{Subject: "dave", Org: "org_1", Role: "reader"})
	header := http.Header{"Idempotency-Key": {"canary-key"}, "X-Request-Id": {"req-1"}}
	session := h.send(request{method: "POST", path: "/checkout", token: member, body: `{"plan":"pro"}`, header: header})
	portal := h.post("/portal", h.token("alice"), "")
	refused := h.post("/portal", reader, "")
	unknown := h.post("/checkout", h.token("alice"), `{"plan":"no such"}`)
	account := h.account()
	id := func(r response) string { return r.header.Get("X-Request-Id") }
	org := audit.Actor{Account: account, Issuer: publicURL, Kind: "org", Subject: "org_1", Member: "carol"}
	other := org
	other.Member = "dave"
	alice := audit.Actor{Account: account, Issuer: publicURL, Kind: "user", Subject: "alice"}
	const client = "127.0.0.1/32"
	want := []audit.Event{
		{
			Actor: org, Action: audit.CheckoutCreate, Object: session.text(t, "id"), Customer: session.text(t, "customer"),
			Outcome: audit.OK, RequestID: "req-1", Client: client, KeyHash: audit.HashKey("canary-key"),
		},
		{
			Actor: alice, Action: audit.PortalCreate, Object: portal.text(t, "id"), Customer: portal.text(t, "customer"),
			Outcome: audit.OK, RequestID: id(portal), Client: client,
		},
		{Actor: other, Action: audit.PortalCreate, Outcome: problem.Forbidden, RequestID: id(refused), Client: client},
		{Actor: alice, Action: audit.CheckoutCreate, Outcome: problem.CatalogNotAllowed, RequestID: id(unknown), Client: client},
	}
	got := h.audited()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(audit.Event{}, "At", "ID"), cmpopts.SortSlices(byRequest)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{"canary-key", member, session.text(t, "url"), portal.text(t, "url")} {
		if canary == "" || strings.Contains(string(text), canary) {
			t.Errorf("%q is in %s", canary, text)
		}
	}
}

func byRequest(a, b audit.Event) bool { return a.RequestID < b.RequestID }

// account is the id of the sandbox's account.
func (h *house) account() string {
	h.t.Helper()
	var account struct {
		ID string `json:"id"`
	}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.sandbox.URL+"/v1/account", http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_canarykey")
	res, err := noRedirects.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.UnmarshalRead(res.Body, &account); err != nil {
		h.t.Fatal(err)
	}
	return account.ID
}

// crowd sends n writes at once, some of which Stripe fails, and returns the ids of the
// requests by their status.
func (h *house) crowd(n int) (carriedOut, others []string) {
	h.t.Helper()
	h.control(http.MethodPost, "faults", `{"operation":"billing_portal.sessions.create","kind":"garbage_200","count":5}`)
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for i := range n {
		wg.Go(func() {
			res := h.post([]string{"/checkout", "/portal", "/checkout"}[i%3], h.token(fmt.Sprint("user", i%7)),
				[]string{`{"plan":"pro"}`, `{}`, `{"plan":"no such"}`}[i%3])
			mu.Lock()
			defer mu.Unlock()
			if id := res.header.Get("X-Request-Id"); res.status < 300 {
				carriedOut = append(carriedOut, id)
			} else {
				others = append(others, id)
			}
		})
	}
	wg.Wait()
	return carriedOut, others
}

func requestsOf(events []audit.Event, ok bool) (ids []string) {
	for _, e := range events {
		if (e.Outcome == audit.OK) == ok {
			ids = append(ids, e.RequestID)
		}
	}
	return ids
}

var unordered = cmpopts.SortSlices(func(a, b string) bool { return a < b })

func TestThereAreAsManyRowsAsWrites(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	carriedOut, others := h.crowd(200)
	rows := h.audited()
	if diff := cmp.Diff(carriedOut, requestsOf(rows, true), unordered); diff != "" {
		t.Errorf("carried out (-answers +rows):\n%s", diff)
	}
	if diff := cmp.Diff(others, requestsOf(rows, false), unordered); diff != "" {
		t.Errorf("others (-answers +rows):\n%s", diff)
	}
	if len(carriedOut) < 100 || len(others) < 60 {
		t.Errorf("%d were carried out, %d were not", len(carriedOut), len(others))
	}
}

// watched is a response of which atHeader is called when it begins.
type watched struct {
	*httptest.ResponseRecorder
	atHeader func(status int)
}

func (w watched) WriteHeader(status int) {
	w.atHeader(status)
	w.ResponseRecorder.WriteHeader(status)
}

func TestInSyncTheRowIsThereBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	for path, body := range map[string]string{"/portal": "{}", "/checkout": `{"plan":"pro"}`} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header = http.Header{"Authorization": {"Bearer " + h.token("alice")}, "Content-Type": {"application/json"}, "X-Request-Id": {"req" + path[1:]}}
		w := watched{ResponseRecorder: httptest.NewRecorder(), atHeader: func(status int) {
			all, err := h.rows.Events(t.Context(), audit.Position{}, time.Now().Add(time.Hour), 100)
			if err != nil || status != http.StatusCreated || !slices.ContainsFunc(all, func(e audit.Event) bool { return e.RequestID == "req"+path[1:] }) {
				t.Errorf("%s: %d begins, and the rows are %+v, %v", path, status, all, err)
			}
		}}
		h.surface.ServeHTTP(w, r)
	}
}

// broken is a store that refuses everything.
type broken struct{ *storetest.Audit }

func (broken) AppendEvents(context.Context, []audit.Event) error { return errors.New("disk full") }

// TestAWriteIsNotLostToTheAudit: the caller gets what he has asked for, and the log
// what the database does not take.
func TestAWriteIsNotLostToTheAudit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{auditStore: broken{&storetest.Audit{}}})
	carriedOut, _ := h.crowd(60)
	var logged []string
	for line := range strings.Lines(h.logs.String()) {
		var l struct {
			Event *struct {
				RequestID string `json:"request_id"`
				Outcome   string `json:"outcome"`
			} `json:"event"`
		}
		if err := json.Unmarshal([]byte(line), &l); err == nil && l.Event != nil && l.Event.Outcome == "ok" {
			logged = append(logged, l.Event.RequestID)
		}
	}
	if diff := cmp.Diff(carriedOut, logged, unordered); diff != "" || len(carriedOut) < 30 {
		t.Errorf("(-answers +log):\n%s", diff)
	}
	if got := h.metric(t, `till_audit_write_failures_total{result="late"}`); got == "0" || got == "" {
		t.Errorf("%q are counted", got)
	}
}

// TestAFloodOfRefusalsIsNoFloodOfRows: neither of those whom nobody knows, nor of those
// who are known.
func TestAFloodOfRefusalsIsNoFloodOfRows(t *testing.T) {
	t.Parallel()
	h := newHouse(t, settings{})
	alice, start := h.token("alice"), time.Now()
	for range 300 {
		h.post("/checkout", "x"+alice, `{"plan":"pro"}`)
		h.post("/checkout", alice, `{`)
		h.post("/checkout", alice, `{"plan":"no such"}`)
	}
	rows := h.audited()
	for _, e := range rows {
		if e.Outcome != problem.CatalogNotAllowed {
			t.Errorf("a row of %s", e.Outcome)
		}
	}
	// A hundred at once, and ten a second.
	if most := 101 + int(10*time.Since(start).Seconds()); len(rows) < 100 || len(rows) > most {
		t.Errorf("%d rows of 300 refusals", len(rows))
	}
}
