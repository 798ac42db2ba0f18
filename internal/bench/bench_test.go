//go:build bench && linux

package bench_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// tokenCache is the setting that turns the cache of verified tokens off.
const tokenCache = "TILL_AUTH_TOKEN_CACHE"

var (
	till      = service("service", 1)
	verifying = service("service, verifying each token", 1, tokenCache+"=0")
)

// TestBench measures everything, and takes half an hour.
func TestBench(t *testing.T) {
	w := newWorld(t, *users)
	database := w.newDatabase(*users, w.spread())
	t.Run("max-tls", func(t *testing.T) { w.during(t, func() { w.benchMax(database) }) })
	t.Run("lat20-tls", func(t *testing.T) { w.during(t, func() { w.benchLat20(database) }) })
	t.Run("open500-tls", func(t *testing.T) { w.during(t, func() { w.benchOpen(open500, database) }) })
	t.Run("open2000-tls", func(t *testing.T) { w.during(t, func() { w.benchOpen(open2000, database) }) })
	t.Run("queries", func(t *testing.T) { w.during(t, func() { w.benchQueries(database) }) })
	t.Run("start", func(t *testing.T) { w.during(t, func() { w.benchStart(database) }) })
	t.Run("growth", func(t *testing.T) { w.during(t, func() { w.benchGrowth(database) }) })
}

// during lets a subtest fail and log as itself.
func (w *world) during(t *testing.T, run func()) {
	before := w.t
	w.t = t
	defer func() { w.t = before }()
	run()
}

// ratios are of the same round.
func (s series) ratios(of, to *contestant, figure func(*sample) float64) []float64 {
	return ratios(s.figures(of, figure), s.figures(to, figure))
}

func (s series) figures(of *contestant, figure func(*sample) float64) (all []float64) {
	for _, one := range s[of] {
		all = append(all, figure(one))
	}
	return all
}

// remark is what a reader must know of the rounds that a figure is made of: how many were
// noisy, and whether there was room for more load than there was.
func (s series) remark(contestants ...*contestant) string {
	var remarks []string
	noisy, rounds, full := 0, 0, 0
	for _, c := range contestants {
		for _, one := range s[c] {
			rounds++
			if one.noisy() {
				noisy++
			}
			if one.harness > 0.95*float64(machine.others) {
				full++
			}
		}
	}
	if noisy > 0 {
		remarks = append(remarks, fmt.Sprintf("%d of %d rounds noisy", noisy, rounds))
	}
	if full > 0 {
		remarks = append(remarks, fmt.Sprintf("load and Stripe were at their limit in %d", full))
	}
	return strings.Join(remarks, ", ")
}

func cpu(s *sample) float64        { return s.perRequest() }
func throughput(s *sample) float64 { return s.throughput() }
func p99(s *sample) float64        { return float64(s.p99().Microseconds()) / 1000 }
func peak(s *sample) float64       { return s.peak }
func bad(s *sample) float64        { return float64(s.bad()) }
func opened(s *sample) float64 {
	return 1000 * float64(s.upstream.Connections) / float64(max(1, s.answers))
}

func calls(s *sample) float64 {
	return float64(s.upstream.Sessions+s.upstream.Others) / float64(max(1, s.answers))
}

func (w *world) benchMax(database string) {
	of := []*contestant{till, proxy, plainHandler}
	const why = "this version has no " + tokenCache
	separable := w.knows(tokenCache)
	if separable {
		of = append(of, verifying)
	}
	s := w.compete(maxTLS, database, of...)
	name := maxTLS.name
	report.judge("CPU per request", name, atMost(1.6, "×"), s.ratios(till, proxy, cpu), s.remark(till, proxy))
	if separable {
		report.judge("CPU per request, each token verified", name, atMost(2.1, "×"), s.ratios(verifying, proxy, cpu), s.remark(verifying, proxy))
	} else {
		report.absent("CPU per request, each token verified", name, atMost(2.1, "×"), why)
	}
	report.fact("CPU per request, plain handler", name, "×", s.ratios(plainHandler, proxy, cpu))
	report.fact("CPU per request, bare proxy", name, " µs", s.figures(proxy, cpu))
	report.judge("requests a second", name, atLeast(0.6, "×"), s.ratios(till, proxy, throughput), s.remark(till, proxy))
	report.judge("requests a second, to the plain handler", name, atLeast(1.7, "×"), s.ratios(till, plainHandler, throughput), s.remark(till, plainHandler))
	report.fact("requests a second, bare proxy", name, "", s.figures(proxy, throughput))
	w.common(s, name, 80)
}

func (w *world) benchLat20(database string) {
	s := w.compete(lat20, database, till, proxy)
	report.judge("CPU per request", lat20.name, atMost(1.5, "×"), s.ratios(till, proxy, cpu), s.remark(till, proxy))
	w.common(s, lat20.name, 0)
}

func (w *world) benchOpen(load scenario, database string) {
	of, bound := []*contestant{till, proxy}, atMost(2, "×")
	if load.rate == open500.rate {
		// At more it would leave tens of thousands of closed connections to whoever is next.
		of, bound = append(of, plainHandler), atMost(1.3, "×")
	}
	s := w.compete(load, database, of...)
	mebibytes := 0.0
	if load.rate == open2000.rate {
		report.judge("CPU per request", load.name, atMost(1.35, "×"), s.ratios(till, proxy, cpu), s.remark(till, proxy))
		mebibytes = 150
	}
	report.judge("added p99", load.name, bound, s.ratios(till, proxy, p99), s.remark(till, proxy))
	report.fact("added p99", load.name, " ms", s.figures(till, p99))
	report.fact("added p99, bare proxy", load.name, " ms", s.figures(proxy, p99))
	if len(of) > 2 {
		report.fact("added p99, plain handler", load.name, "×", s.ratios(plainHandler, proxy, p99))
	}
	w.common(s, load.name, mebibytes)
}

// common is what every scenario is asked.
func (w *world) common(s series, name string, mebibytes float64) {
	report.judge("requests without a good answer", name, atMost(0, ""), s.figures(till, bad), "")
	report.judge("connections to Stripe, per 1,000 requests", name, atMost(3, ""), s.figures(till, opened), "")
	// A background job may ask for something within a round.
	report.judge("calls to Stripe per request", name, atMost(1.001, ""), s.figures(till, calls), "")
	if len(s[plainHandler]) > 0 {
		report.fact("connections to Stripe, plain handler", name, "", s.figures(plainHandler, opened))
	}
	if mebibytes > 0 {
		report.judge("peak RSS", name, atMost(mebibytes, " MiB"), s.figures(till, peak), "")
	} else {
		report.fact("peak RSS", name, " MiB", s.figures(till, peak))
	}
	report.fact("peak RSS, bare proxy", name, " MiB", s.figures(proxy, peak))
}

// knows reports whether the service has a setting.
func (w *world) knows(variable string) bool {
	binary, err := program.get(w.t.Context())
	must(w.t, err)
	help, err := exec.CommandContext(w.t.Context(), binary, "serve", "--help").Output()
	must(w.t, err)
	return strings.Contains(string(help), variable+" ")
}

// benchQueries counts what Postgres is asked on behalf of warm requests: looks into tables,
// other than the audit's, which is written in batches and not asked. Jobs in the background
// ask too; what they ask in as long a time without requests is taken off.
func (w *world) benchQueries(database string) {
	must(w.t, w.setLatency(latency{}))
	r, err := till.start(w, w.in(database)...)
	must(w.t, err)
	l := newLoad(r, till, w.callers)
	l.closed(32, 0, 2*len(w.callers))
	before := w.asked(database)
	o := l.closed(32, 0, 2*len(w.callers))
	busy := w.asked(database)
	time.Sleep(o.took)
	rest := w.asked(database).minus(busy)
	busy = busy.minus(before)
	l.close()
	must(w.t, r.stop())
	per := float64(max(1, o.answers))
	report.judge("database queries per warm request", "", atMost(0.001, ""), []float64{float64(max(0, busy.looks-rest.looks)) / per}, "")
	report.fact("database queries of background jobs, a minute", "", "", []float64{float64(rest.looks) / (o.took + settling).Minutes()})
	report.fact("rows of the audit, per 1,000 requests", "", "", []float64{1000 * float64(busy.audited) / per})
	report.fact("transactions for them, per 1,000 requests", "", "", []float64{1000 * float64(busy.transactions-rest.transactions) / per})
}

// settling is after how long every session of Postgres has said what it did: one that is
// idle does so after ten seconds.
const settling = 11 * time.Second

// asked is what a database has been asked so far.
type asked struct{ looks, audited, transactions int64 }

func (a asked) minus(o asked) asked {
	return asked{a.looks - o.looks, a.audited - o.audited, a.transactions - o.transactions}
}

func (w *world) asked(database string) (a asked) {
	w.t.Helper()
	time.Sleep(settling)
	must(w.t, w.query(database, `SELECT coalesce(sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)) FILTER (WHERE relname <> 'audit_events'), 0)::bigint,
		coalesce(sum(n_tup_ins) FILTER (WHERE relname = 'audit_events'), 0)::bigint FROM pg_stat_user_tables`, &a.looks, &a.audited))
	must(w.t, w.query(database, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`, &a.transactions))
	return a
}

// benchStart starts the service with everything it needs there.
func (w *world) benchStart(database string) {
	var ready, idle []float64
	for range max(7, *rounds) {
		r, err := till.start(w, w.in(database)...)
		must(w.t, err)
		ready = append(ready, float64(time.Since(r.began).Microseconds())/1000)
		time.Sleep(1500 * time.Millisecond)
		resident, err := mebibytes(r.pid(), "VmRSS")
		must(w.t, err)
		idle = append(idle, resident)
		must(w.t, r.stop())
	}
	report.judge("exec to the first 200 of /readyz", "", atMost(150, " ms"), ready, "")
	report.judge("idle RSS", "", atMost(40, " MiB"), idle, "")
}
