package customers_test

import (
	"testing"

	"till/internal/customers"
)

func TestNamesTellOwnersApart(t *testing.T) {
	t.Parallel()
	account := customers.Account{ID: "acct_1", Livemode: true}
	first := customers.Owner{Account: account, Issuer: "https://id.example", Kind: customers.KindUser, Subject: "alice"}
	seen := map[string]customers.Owner{first.Name(): first}
	for _, other := range []customers.Owner{
		{Account: customers.Account{ID: "acct_2", Livemode: true}, Issuer: first.Issuer, Kind: first.Kind, Subject: first.Subject},
		{Account: customers.Account{ID: "acct_1"}, Issuer: first.Issuer, Kind: first.Kind, Subject: first.Subject},
		{Account: account, Issuer: "https://id.exampl", Kind: first.Kind, Subject: "ealice"},
		{Account: account, Issuer: first.Issuer, Kind: customers.KindOrg, Subject: first.Subject},
		{Account: account, Issuer: first.Issuer, Kind: first.Kind, Subject: "Alice"},
	} {
		if twin, taken := seen[other.Name()]; taken {
			t.Errorf("%+v and %+v have one name", other, twin)
		}
		seen[other.Name()] = other
	}
	// It is in Redis and in contexts, so it must stay the same over releases that run
	// side by side, and say nothing of whom it names.
	if got, want := first.Name(), "Ze3BErGC7Z1N6efNaWTc3r35_FuTjYedKFH3lgZruHI"; got != want {
		t.Errorf("the name is %s, want %s", got, want)
	}
}
