package customers_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/url"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"till/internal/auth"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// variants are owners that differ from the first in one member each, some of
// them in a way that joining members without their lengths would hide.
func variants() []customers.Owner {
	edited := func(edit func(*customers.Owner)) customers.Owner { o := alice; edit(&o); return o }
	return []customers.Owner{
		alice,
		edited(func(o *customers.Owner) { o.ID = "acct_2" }),
		edited(func(o *customers.Owner) { o.Livemode = false }),
		edited(func(o *customers.Owner) { o.Issuer = "https://id.example.com" }),
		edited(func(o *customers.Owner) { o.Kind = customers.KindOrg }),
		edited(func(o *customers.Owner) { o.Subject = "Alice" }),
		edited(func(o *customers.Owner) { o.Subject = "alice1" }), // subject and generation
		edited(func(o *customers.Owner) { o.Issuer += "user"; o.Subject = "alice" }),
		edited(func(o *customers.Owner) { o.Issuer, o.Subject = "https://id.example.com/useralic", "e" }),
		edited(func(o *customers.Owner) { o.ID, o.Issuer = "acct_1truehttps://", "id.example.com/" }),
	}
}

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	account := customers.Account{ID: "acct_1", Livemode: true}
	person := auth.Principal{Issuer: "https://a/", Subject: "42", Email: "x@example.com", Name: "X"}
	with := func(org auth.Membership) auth.Principal { p := person; p.Org = &org; return p }
	for name, tc := range map[string]struct {
		principal auth.Principal
		want      customers.Owner
		refused   bool
	}{
		"a person": {person, customers.Owner{Account: account, Issuer: "https://a/", Kind: customers.KindUser, Subject: "42"}, false},
		"the same subject of another issuer": {
			auth.Principal{Issuer: "https://b/", Subject: "42"},
			customers.Owner{Account: account, Issuer: "https://b/", Kind: customers.KindUser, Subject: "42"},
			false,
		},
		"an organisation": {
			with(auth.Membership{ID: "org_1", Role: "billing", MayBill: true}),
			customers.Owner{Account: account, Issuer: "https://a/", Kind: customers.KindOrg, Subject: "org_1"},
			false,
		},
		"an organisation with the id of the person": {
			with(auth.Membership{ID: "42", Role: "owner", MayBill: true}),
			customers.Owner{Account: account, Issuer: "https://a/", Kind: customers.KindOrg, Subject: "42"},
			false,
		},
		"a member who may not bill":      {with(auth.Membership{ID: "org_1", Role: "billing"}), customers.Owner{}, true},
		"a member without any role":      {with(auth.Membership{ID: "org_1"}), customers.Owner{}, true},
		"a membership without a name":    {with(auth.Membership{}), customers.Owner{}, true},
		"a member with the person's own": {with(auth.Membership{ID: "42", Role: "member"}), customers.Owner{}, true},
	} {
		got, err := customers.OwnerOf(tc.principal, account)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		p, _ := errors.AsType[*problem.Error](err)
		if refused := p != nil && p.Code == problem.Forbidden; refused != tc.refused || (err != nil) != tc.refused {
			t.Errorf("%s: got %v, want refused %t", name, err, tc.refused)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	want := map[string]string{"till_issuer": "https://id.example.com/", "till_kind": "user", "till_subject": "alice", "till_generation": "3"}
	for _, form := range []customers.SubjectForm{"", customers.SubjectPlain} {
		if diff := cmp.Diff(want, alice.Metadata(form, 3)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", form, diff)
		}
	}
	want["till_subject"] = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
	if diff := cmp.Diff(want, alice.Metadata(customers.SubjectSHA256, 3)); diff != "" {
		t.Errorf("sha256 (-want +got):\n%s", diff)
	}
}

// keyOf sends the owner's first reservation and returns the key it went with.
func keyOf(t *testing.T, o customers.Owner) string {
	t.Helper()
	w := newWorld()
	w.replica(t).ensures(t, o)
	return w.stripe.keysSent()[0]
}

// A changed key would create everybody's customer anew who is being created
// while the version with the change is rolled out.
func TestTheKeyIsStable(t *testing.T) {
	t.Parallel()
	const golden = "z3Y9atilTDpZLI7oEJWfZ9XqrpAKON8BJB-e2ydKhlM"
	if got := keyOf(t, alice); got != golden {
		t.Errorf("got %s, want %s", got, golden)
	}
	// The same, put together from the words of the design.
	var text []byte
	for _, part := range []string{"till-customer-v1", "acct_1", "true", "https://id.example.com/", "user", "alice", "1"} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != golden {
		t.Errorf("by the design: %s, want %s", got, golden)
	}
}

func TestTheKeyDependsOnEachMemberAndOnNothingElse(t *testing.T) {
	t.Parallel()
	seen := map[string]customers.Owner{}
	for _, o := range variants() {
		key := keyOf(t, o)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(key) {
			t.Errorf("%q is no key for a header", key)
		}
		if other, taken := seen[key]; taken {
			t.Errorf("%+v and %+v share a key", o, other)
		}
		seen[key] = o
		if again := keyOf(t, o); again != key {
			t.Errorf("%+v: got %s, then %s", o, key, again)
		}
	}
}

func TestWhatIsSentIsFrozenAndHasNothingPersonal(t *testing.T) {
	t.Parallel()
	w := newWorld()
	odd := storetest.Owner("a&b=c d+é[x]%25\n")
	w.replicaOn(t, w.store, customers.Options{Version: "2026-08-26.dahlia"}).ensures(t, odd)
	sent := w.stripe.sent[0]
	form, err := url.ParseQuery(sent.Params)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"metadata[till_issuer]": {"https://id.example.com/"}, "metadata[till_kind]": {"user"},
		"metadata[till_subject]": {odd.Subject}, "metadata[till_generation]": {"1"},
	}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Errorf("params (-want +got):\n%s", diff)
	}
	if sent.Version != "2026-08-26.dahlia" || !sent.Livemode {
		t.Errorf("got %+v, want the version and the mode", sent)
	}
	if r := w.record(t, odd); r.Params != sent.Params || r.Version != sent.Version || r.IdempotencyKey != sent.IdempotencyKey {
		t.Errorf("sent %+v, and the row has %+v", sent, r)
	}
}
