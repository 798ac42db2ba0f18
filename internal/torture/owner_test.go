//go:build torture && linux

package torture_test

import (
	"fmt"
	"strconv"
	"time"

	"till/internal/auth/devissuer"
	"till/internal/customers"
)

const issuerName = "https://id.torture.example/"

// owner is one who must have one customer: a person, or an organisation with members.
type owner struct {
	kind    customers.Kind
	subject string
}

// crowdOf makes n owners. Organisations share their ids with persons: the kind alone keeps
// them apart.
func crowdOf(prefix string, n int) []owner {
	all := make([]owner, n)
	for i := range all {
		all[i] = owner{customers.KindUser, prefix + strconv.Itoa(i)}
		if i%4 == 3 {
			all[i] = owner{customers.KindOrg, all[i-1].subject}
		}
	}
	return all
}

// String is how the owner is found again in metadata.
func (o owner) String() string {
	return fmt.Sprint(issuerName, " ", o.kind, " ", o.subject)
}

// key is the owner as the ledger knows him.
func (o owner) key(account string) customers.Owner {
	return customers.Owner{
		Account: customers.Account{ID: account}, Issuer: issuerName, Kind: o.kind, Subject: o.subject,
	}
}

// token lets one of the owner's people in.
func (o owner) token(i *devissuer.Issuer, member int) (string, error) {
	claims := devissuer.Claims{Subject: o.subject, ExpiresIn: 12 * time.Hour}
	if o.kind == customers.KindOrg {
		claims = devissuer.Claims{Subject: fmt.Sprintf("member-%d", member), Org: o.subject, Role: "billing", ExpiresIn: 12 * time.Hour}
	}
	token, _, err := i.Mint(claims)
	return token, err
}
