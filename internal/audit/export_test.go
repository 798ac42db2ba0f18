package audit_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"till/internal/audit"
	"till/internal/store/storetest"
)

var always = audit.Selection{Until: storetest.Base.Add(240 * time.Hour)}

func export(t testing.TB, s audit.Selection, f audit.Format, events ...audit.Event) string {
	t.Helper()
	var store storetest.Audit
	if err := store.AppendEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := audit.Export(t.Context(), &store, &out, s, f)
	if err != nil || n > len(events) {
		t.Fatal(n, err)
	}
	return out.String()
}

func TestFormats(t *testing.T) {
	t.Parallel()
	e := storetest.Event("a", 0)
	e.KeyHash = audit.HashKey("key")
	org := storetest.Event("b", time.Millisecond)
	org.Kind, org.Subject, org.Member, org.Livemode, org.KeyHash = "org", "org_1", "carol", false, ""
	org.Action, org.Outcome = audit.CheckoutExpire, "session_not_open"
	for format, want := range map[audit.Format]string{
		audit.JSONL: `{"time":"2026-03-04T05:06:07.089Z","unix_ms":1772600767089,"id":"a","action":"checkout.create","outcome":"ok","object":"cs_test_a","customer":"cus_1","issuer":"https://id.example.com/","kind":"user","subject":"alice","member":"","account":"acct_1","livemode":true,"request_id":"req-a","client":"192.0.2.1/32","idempotency_key_sha256":"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"}
{"time":"2026-03-04T05:06:07.090Z","unix_ms":1772600767090,"id":"b","action":"checkout.expire","outcome":"session_not_open","object":"cs_test_b","customer":"cus_1","issuer":"https://id.example.com/","kind":"org","subject":"org_1","member":"carol","account":"acct_1","livemode":false,"request_id":"req-b","client":"192.0.2.1/32","idempotency_key_sha256":""}
`,
		audit.CSV: `time,unix_ms,id,action,outcome,object,customer,issuer,kind,subject,member,account,livemode,request_id,client,idempotency_key_sha256
2026-03-04T05:06:07.089Z,1772600767089,a,checkout.create,ok,cs_test_a,cus_1,https://id.example.com/,user,alice,,acct_1,true,req-a,192.0.2.1/32,2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
2026-03-04T05:06:07.090Z,1772600767090,b,checkout.expire,session_not_open,cs_test_b,cus_1,https://id.example.com/,org,org_1,carol,acct_1,false,req-b,192.0.2.1/32,
`,
	} {
		if diff := cmp.Diff(want, export(t, always, format, e, org)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	if _, err := audit.Export(t.Context(), &storetest.Audit{}, &bytes.Buffer{}, always, "xml"); err == nil {
		t.Error("there is a format xml")
	}
	if got := export(t, always, audit.CSV); strings.Count(got, "\n") != 1 {
		t.Errorf("no events: %q", got)
	}
}

func TestSelections(t *testing.T) {
	t.Parallel()
	a, b, c := storetest.Event("a", 0), storetest.Event("b", time.Second), storetest.Event("c", 2*time.Second)
	b.Subject, b.Member, b.Customer = "org_1", "alice", "cus_2"
	c.Subject = "bob"
	until := always.Until
	for name, tc := range map[string]struct {
		s    audit.Selection
		want string
	}{
		"all":                   {audit.Selection{Until: until}, "abc"},
		"since is included":     {audit.Selection{Since: b.At, Until: until}, "bc"},
		"until is not":          {audit.Selection{Until: c.At}, "ab"},
		"a person and a member": {audit.Selection{Until: until, Names: []string{"alice"}}, "ab"},
		"an organisation":       {audit.Selection{Until: until, Names: []string{"org_1"}}, "b"},
		"a customer":            {audit.Selection{Until: until, Names: []string{"cus_1"}}, "ac"},
		"either":                {audit.Selection{Until: until, Names: []string{"org_1", "bob"}}, "bc"},
		"nobody":                {audit.Selection{Until: until, Names: []string{"ali"}}, ""},
	} {
		var got string
		for line := range strings.Lines(export(t, tc.s, audit.JSONL, a, b, c)) {
			var e struct{ ID string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			got += e.ID
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestAnExportHasEveryPage(t *testing.T) {
	t.Parallel()
	var events []audit.Event
	for i := range 1234 {
		events = append(events, storetest.Event(fmt.Sprintf("%04d", i), time.Duration(i/100)*time.Second))
	}
	for _, n := range []int{499, 500, 501, 1000, 1234} {
		if got := strings.Count(export(t, always, audit.JSONL, events[:n]...), "\n"); got != n {
			t.Errorf("got %d of %d", got, n)
		}
	}
}

// fullDisk takes a few bytes.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestAnExportThatIsNotWrittenFails(t *testing.T) {
	t.Parallel()
	var store storetest.Audit
	if err := store.AppendEvents(t.Context(), []audit.Event{storetest.Event("a", 0)}); err != nil {
		t.Fatal(err)
	}
	for _, f := range audit.Formats() {
		if _, err := audit.Export(t.Context(), &store, &fullDisk{10}, always, f); err == nil {
			t.Errorf("%s: no error", f)
		}
	}
}

func TestWhatATableWouldCalculateIsText(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "  =1", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1", `=HYPERLINK("http://evil.example")`, "\u00a0=1",
	} {
		e := storetest.Event("a", 0)
		e.Subject, e.Object = subject, subject
		rows, err := csv.NewReader(strings.NewReader(export(t, always, audit.CSV, e))).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatal(rows, err)
		}
		for i, cell := range rows[1] {
			if first, _ := utf8.DecodeRuneInString(strings.TrimSpace(cell)); strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
				t.Errorf("%q: %s is %q", subject, rows[0][i], cell)
			}
		}
	}
}

func FuzzALineIsALine(f *testing.F) {
	for _, text := range []string{
		"", "alice", "a\nb", "a\r\nb", "\x1b[2J", "\u009b2J", "\u2028", "\u202e", `"`, `\"`, `\`, `\u000a`, "=1", "\U0001f600", "\U000e0001", "\x00", "\xff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := storetest.Event("a", 0)
		e.Subject, e.RequestID, e.Object, e.Member = text, text, text, text
		line := export(t, always, audit.JSONL, e)
		table := export(t, always, audit.CSV, e)
		for _, out := range []string{line, table} {
			for i, r := range out {
				if r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u202e' {
					t.Fatalf("%U at %d of %q", r, i, out)
				}
			}
		}
		if strings.Count(line, "\n") != 1 || strings.Count(table, "\n") != 2 {
			t.Fatalf("more than a line: %q %q", line, table)
		}
		var back struct{ Subject string }
		if err := json.Unmarshal([]byte(line), &back); err != nil || back.Subject != strings.ToValidUTF8(text, "\ufffd") && utf8.ValidString(text) {
			t.Fatalf("%v: %q became %q", err, text, back.Subject)
		}
		if rows, err := csv.NewReader(strings.NewReader(table)).ReadAll(); err != nil || len(rows) != 2 || len(rows[1]) != len(rows[0]) {
			t.Fatalf("%v: %q", err, table)
		}
	})
}
