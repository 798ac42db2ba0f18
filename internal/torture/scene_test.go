//go:build torture && linux

package torture_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// scene is the Stripe and the database of the crash points.
type scene struct {
	stripe   *stripe
	database string
	dice     *rand.Rand
}

func (s *scene) environ(point string, within time.Duration) []string {
	after := time.Duration(0)
	if within > 0 {
		after = time.Duration(s.dice.Int64N(int64(within)))
	}
	return []string{
		databaseVariable + "=" + s.database, stripeVariable + "=" + s.stripe.base,
		accountVariable + "=" + s.stripe.account, pointVariable + "=" + point, afterVariable + "=" + after.String(),
	}
}

// kills lets one process die for each owner, and returns how many did.
func (s *scene) kills(ctx context.Context, p crashPoint, crowd []owner) (int, error) {
	died := make([]bool, len(crowd))
	environs := make([][]string, len(crowd))
	for i := range crowd {
		environs[i] = s.environ(p.at, p.within)
	}
	err := together(len(crowd), func(i int) error {
		who := crowd[i : i+1]
		if p.role == "sweep" {
			who = nil // it finds them by itself
		}
		cmd, err := actorCommand(ctx, p.role, environs[i], who)
		if err != nil {
			return err
		}
		err = runActor(cmd)
		died[i] = wasKilled(err)
		if err != nil && !died[i] {
			return err
		}
		return nil
	})
	n := 0
	for _, one := range died {
		if one {
			n++
		}
	}
	return n, err
}

// visits lets owners come, in one process that lives, and returns how each fared.
func (s *scene) visits(ctx context.Context, crowd []owner) ([]string, error) {
	cmd, err := actorCommand(ctx, "visit", s.environ("", 0), crowd)
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd.Stdout = &said
	if err := runActor(cmd); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said.String())
	}
	return lines(said.String()), nil
}

// recover lets everybody come again, as often as the protocol asks: the clock is turned
// where it says to wait until the last call has surely ended.
func (s *scene) recover(ctx context.Context, crowd []owner) (unserved []string, err error) {
	for range 4 {
		fared, err := s.visits(ctx, crowd)
		if err != nil {
			return nil, err
		}
		unserved = nil
		var again []owner
		for i, how := range fared {
			if !strings.HasPrefix(how, "served ") {
				again = append(again, crowd[i])
				unserved = append(unserved, fmt.Sprintf("%s: %s", crowd[i], how))
			}
		}
		if len(again) == 0 {
			return nil, nil
		}
		crowd = again
		if err := s.stripe.advance(ctx, 61*time.Second); err != nil {
			return nil, err
		}
	}
	return unserved, nil
}

// arrange brings owners into a situation.
func (s *scene) arrange(ctx context.Context, from situation, crowd []owner) error {
	switch from {
	case slow:
		return s.forAll(ctx, object{"kind": "delay", "delay": "20ms"})
	case failed, spent, fruitless:
		// Those before are out of the window in which these are looked for.
		if err := s.stripe.advance(ctx, 15*time.Minute); err != nil {
			return err
		}
		return s.arrangeFailure(ctx, from, crowd)
	case deleted:
		if _, err := s.recover(ctx, crowd); err != nil {
			return err
		}
		return s.deleteAll(ctx, crowd)
	case forgotten:
		// Each is killed once; then all look as if nobody came again.
		p := crashPoint{at: "request written", role: "visit"}
		if _, err := s.kills(ctx, p, crowd); err != nil {
			return err
		}
		return s.stripe.advance(ctx, 61*time.Second)
	}
	return nil
}

func (s *scene) forAll(ctx context.Context, f object) error {
	f["operation"] = "customers.create"
	return s.stripe.call(ctx, http.MethodPost, "/sandbox/v1/faults", f, nil)
}

// arrangeFailure makes keys for which Stripe replays an error.
func (s *scene) arrangeFailure(ctx context.Context, to situation, crowd []owner) error {
	kind := "created_then_500"
	if to == fruitless {
		kind = "failed_500"
	}
	if err := s.forAll(ctx, object{"kind": kind}); err != nil {
		return err
	}
	// One process for each would be slow, and one for all would open its circuit
	// breaker: a few at a time.
	for rest := crowd; len(rest) > 0; rest = rest[min(8, len(rest)):] {
		if _, err := s.visits(ctx, rest[:min(8, len(rest))]); err != nil {
			return err
		}
	}
	if _, err := s.stripe.heal(ctx); err != nil || to == failed {
		return err
	}
	if to == spent {
		// Whoever lives on adopts what the key made at once.
		_, err := s.kills(ctx, crashPoint{at: "after spend", role: "visit"}, crowd)
		return err
	}
	for rest := crowd; len(rest) > 0; rest = rest[min(8, len(rest)):] {
		if _, err := s.visits(ctx, rest[:min(8, len(rest))]); err != nil {
			return err
		}
	}
	return s.stripe.advance(ctx, 61*time.Second)
}

// deleteAll deletes the owners' customers at Stripe.
func (s *scene) deleteAll(ctx context.Context, crowd []owner) error {
	w, err := learn(ctx, s.stripe, s.database, crowd)
	if err != nil {
		return err
	}
	for _, o := range crowd {
		for _, id := range w.byOwner[o.String()] {
			if err := s.stripe.call(ctx, http.MethodDelete, "/v1/customers/"+id, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
