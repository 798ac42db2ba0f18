package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"till/internal/ratelimit/redistest"
)

// The simulation has a pool of its own. It does what the script does, on a real server,
// question by question, when both have the same clock.
func TestThePoolIsWhatRedisDoes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	// A client that waits: how long this machine takes is of no interest here.
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprint("127.0.0.1:", server.Port), Protocol: 2, ReadTimeout: time.Minute})
	defer client.Close()
	clocked := strings.Replace(budgetText, "redis.call('TIME')", "{ARGV[17], ARGV[18]}", 1)
	if clocked == budgetText {
		t.Fatal("the script does not ask for the time")
	}
	script := redis.NewScript(clocked)
	random, p := rand.New(rand.NewPCG(5, 5)), newPool()
	ledgers := make([]*redisLedger, 4)
	for i := range ledgers {
		ledgers[i] = newRedisLedger(nil, "test")
	}
	quotas := []quota{{25, 3}, {25, 1}, {5, 2}, {100, 10}, {25, 40}}
	each := quotas[0]
	now, granted, promised := int64(1_800_000_000_000_000), 0, 0
	for step := range 6000 {
		switch random.IntN(100) {
		case 0:
			now -= random.Int64N(3e6)
		case 1:
			which := random.IntN(3)
			l := ledgers[0]
			for _, key := range [][]string{{l.donors}, {l.tokens}, {l.busy + "a", l.busy + "b"}}[which] {
				if _, err := server.Do("DEL", key); err != nil {
					t.Fatal(err)
				}
			}
			p.evict(which)
		case 2:
			each = quotas[random.IntN(len(quotas))]
		default:
			now += random.Int64N([]int64{1e3, 1e5, 1e5, 1e6}[random.IntN(4)])
		}
		q := question{
			before: now + random.Int64N(20000) - 1000, endpoint: []string{"a", "b"}[random.IntN(2)], tokens: random.IntN(5),
			cut: random.IntN(50) == 0, cutAll: random.IntN(100) == 0, each: each, all: quota{each.most * 2, each.replicas},
		}
		if random.IntN(20) == 0 {
			q = question{}
		}
		l := ledgers[random.IntN(len(ledgers))]
		args := append(l.arguments(q), now/1e6, now%1e6)
		raw, err := script.Run(t.Context(), client, []string{l.donors, l.tokens, l.busy + q.endpoint, l.hello}, args...).Int64Slice()
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAnswer(raw, q)
		want := p.ask(l.self, now, q)
		granted += got.granted
		if got.promised {
			promised++
		}
		wait, token := got.wait-want.wait, got.token-want.token
		want.busy = min(want.busy, max(1, q.each.replicas))
		got.wait, got.token, want.wait, want.token = 0, 0, 0, 0
		if err != nil || got != want || wait.Abs() > 5*time.Microsecond || token.Abs() > 5*time.Microsecond {
			t.Fatalf("step %d: %+v: Redis says %+v, want %+v (%v, %v longer; %v)", step, q, got, want, wait, token, err)
		}
	}
	if granted < 500 || promised < 100 {
		t.Errorf("only %d tokens were granted and %d promised", granted, promised)
	}
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	q := question{endpoint: "a", tokens: 2, each: quota{25, 3}}
	good := []int64{1, 1, 2, 1, 1000, 40000, 3}
	if a, err := readAnswer(good, q); err != nil || a.granted != 2 || !a.promised || a.wait != time.Millisecond || a.busy != 3 {
		t.Errorf("got %+v, %v", a, err)
	}
	for at, bad := range map[int][]int64{0: {0, -1}, 2: {-1, 3, 1 << 60}, 4: {-1}, 5: {-1}, 6: {-1}} {
		for _, value := range bad {
			raw := append([]int64(nil), good...)
			raw[at] = value
			if _, err := readAnswer(raw, q); err == nil {
				t.Errorf("%v is believed", raw)
			}
		}
	}
	for _, raw := range [][]int64{nil, good[:6], append(good[:7:7], 1)} {
		if _, err := readAnswer(raw, q); err == nil {
			t.Errorf("%v is believed", raw)
		}
	}
	if a, err := readAnswer([]int64{1, 1, 2, 0, 1 << 62, 1 << 62, 1 << 62}, q); err != nil || a.wait > time.Hour || a.busy > 3 {
		t.Errorf("got %+v, %v", a, err)
	}
}

// Three processes on a real Redis, which is killed, frozen, filled with something else and
// emptied: all are served all the time, and as much is sent as may be.
func TestThreeReplicasOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	const perSecond, replicas = 50, 3
	var sent atomic.Int64
	budgets := make([]*Budget, replicas)
	began := time.Now()
	for i := range budgets {
		r, err := OpenRedis(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewBudget(BudgetOptions{
			PerEndpoint: perSecond, Account: 4 * perSecond, Endpoints: []string{"a"}, Replicas: replicas,
			Redis: r, Name: "test", Metrics: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		budgets[i] = b
		t.Cleanup(func() { b.Close(); r.Close() })
		for n := range 8 {
			ctx := For(t.Context(), fmt.Sprint(n))
			go func() {
				for ctx.Err() == nil {
					if b.Endpoint("a").Wait(ctx, time.Minute) == nil {
						sent.Add(1)
					}
				}
			}()
		}
	}
	// until waits for all to be in a phase, and for calls to be made after it.
	until := func(what string, p phase) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			in := 0
			for _, b := range budgets {
				b.mu.Lock()
				if b.shared.phase == p {
					in++
				}
				b.mu.Unlock()
			}
			if in == replicas {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d replicas of %d notice", what, in, replicas)
			}
		}
		before := sent.Load()
		for end := time.Now().Add(time.Minute); sent.Load() < before+10; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: nobody is served", what)
			}
		}
	}
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	until("at first", together)
	do(nil, server.Freeze())
	until("frozen", alone)
	do(nil, server.Thaw())
	until("thawed", together)
	do(nil, server.Stop())
	until("killed", alone)
	do(nil, server.Start())
	until("back", together)
	do(server.Do("FLUSHALL"))
	until("emptied", together)
	do(server.Do("SET", prefix+"budget:{test}:tokens", "something else"))
	until("of another type", alone)
	do(server.Do("DEL", prefix+"budget:{test}:tokens"))
	until("cleared", together)
	do(server.Do("CONFIG", "SET", "min-replicas-to-write", "1"))
	until("read-only", alone)
	// Over so long a time, a burst or two does not matter.
	if n, most := float64(sent.Load()), perSecond*(time.Since(began).Seconds()+1); n > most {
		t.Errorf("%v calls were made, of at most %v", n, most)
	}
}
