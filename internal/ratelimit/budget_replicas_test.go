package ratelimit

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var budgetForm = flag.String("budget.form", "short", "how much of the simulation of replicas is run: short or full")

// scenario is deployments of one Stripe account each, as a process has one key: accounts
// share nothing but the Redis.
type scenario struct {
	replicas, accounts int
	shared             bool
	// busiest is the part of the calls that one replica of each deployment gets; 0 is as
	// many as the others.
	busiest float64
	// load is what is wanted, as a part of what Stripe takes.
	load float64
	long time.Duration
}

// outcome is what came of it.
type outcome struct {
	offered, goodput float64 // calls a second
	most, over       int     // calls in the worst second; seconds above the bound
	waits            []time.Duration
	// owners is the part of its calls that each got through.
	owners []float64
}

const stripeRate, ownersEach = 25, 200

func (s scenario) run(seed uint64) outcome {
	var out outcome
	each := s.replicas / s.accounts
	o := BudgetOptions{PerEndpoint: stripeRate, Account: 4 * stripeRate, Replicas: each, Endpoints: []string{"checkout"}}
	bound := max(stripeRate, each)
	for account := range s.accounts {
		w := newWorld(seed + uint64(account))
		for range each {
			w.after(w.between(0, time.Second), func() { w.start(o, s.shared) })
		}
		// Longer than any of them needs to be ready.
		w.run(10 * time.Second)
		served, asked := make([]float64, ownersEach), make([]float64, ownersEach)
		offered, end := 0, w.now+s.long
		w.load(s.load*stripeRate, end, func() {
			r := w.replicas[w.random.IntN(each)]
			if s.busiest > 0 && w.random.Float64() < s.busiest {
				r = w.replicas[0]
			}
			owner := w.random.IntN(ownersEach)
			offered++
			asked[owner]++
			r.call("checkout", fmt.Sprint("owner-", owner), 6*time.Second, func(waited time.Duration, err error) {
				if err == nil {
					served[owner]++
					out.waits = append(out.waits, waited)
				}
			})
		})
		w.run(end)
		times := w.sent["checkout"]
		n, _ := most(times)
		out.most = max(out.most, n)
		first := 0
		for i, at := range times {
			for at-times[first] >= time.Second {
				first++
			}
			if i-first+1 > bound {
				out.over++
			}
		}
		out.offered += float64(offered) / s.long.Seconds()
		out.goodput += float64(len(times)) / s.long.Seconds()
		for owner := range served {
			out.owners = append(out.owners, served[owner]/max(1, asked[owner]))
		}
	}
	return out
}

// TestReplicas is the simulation of docs/capacity.md: what 1 to 100 replicas get out of
// Stripe's limit, with a share each and with one pool.
func TestReplicas(t *testing.T) {
	t.Parallel()
	sizes, long := [][2]int{{1, 1}, {3, 1}, {10, 1}}, 30*time.Second
	if *budgetForm == "full" {
		sizes, long = [][2]int{{1, 1}, {3, 1}, {10, 1}, {100, 1}, {100, 4}}, 10*time.Minute
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "replicas\taccounts\tshares\tload\tbusiest gets\toffered/s\tgoodput/s\tof the limit\twait p50\tp99\tfairness\tworst second\tbound\tover it\t")
	for _, size := range sizes {
		for _, load := range []float64{0.5, 1.5} {
			for _, busiest := range []float64{0, 0.5} {
				if size[0] == 1 && busiest > 0 {
					continue
				}
				for _, shared := range []bool{false, true} {
					s := scenario{replicas: size[0], accounts: size[1], shared: shared, busiest: busiest, load: load, long: long}
					out := s.run(1)
					s.print(w, out)
					s.judge(t, out)
				}
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("Stripe takes %d calls a second for each account; %v simulated for each line; a call waits up to 6s\n%s", stripeRate, long, &table)
}

func (s scenario) print(w *tabwriter.Writer, out outcome) {
	shares, busiest := "own", "1/n"
	if s.shared {
		shares = "pool"
	}
	if s.busiest > 0 {
		busiest = "half"
	}
	fmt.Fprintf(w, "%d\t%d\t%s\t%.0f%%\t%s\t%.1f\t%.1f\t%.0f%%\t%v\t%v\t%.3f\t%d\t%d\t%d\t\n",
		s.replicas, s.accounts, shares, s.load*100, busiest, out.offered, out.goodput,
		100*out.goodput/float64(stripeRate*s.accounts),
		quantile(out.waits, 0.5).Round(time.Millisecond), quantile(out.waits, 0.99).Round(time.Millisecond),
		jain(out.owners), out.most, max(stripeRate, s.replicas/s.accounts), out.over)
}

func (s scenario) judge(t *testing.T, out outcome) {
	t.Helper()
	if out.over > 0 {
		t.Errorf("%+v: %d seconds with more calls than may be", s, out.over)
	}
	part := out.goodput / min(out.offered, stripeRate*float64(s.accounts))
	switch {
	case s.shared && part < 0.8:
		t.Errorf("%+v: the pool gives %.2f of what it could", s, part)
	case !s.shared && s.busiest == 0 && s.replicas <= 3 && part < 0.85:
		t.Errorf("%+v: own shares give %.2f of what they could", s, part)
	}
}
