package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"till/internal/ratelimit/redistest"
)

// TestReplicasCountInRedis: two processes and one owner. On a busy machine Redis may take
// longer than it is waited for, so the count may be lower than the limit, and never higher.
func TestReplicasCountInRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, redistest.Options{Settings: map[string]string{"requirepass": "canary"}})
	config, token := files(t, func(text string) string {
		return text + "limits: {owner_writes_per_minute: 5, replicas: 2, redis_url: \"" + redis.URL().Reveal() + "\"}\n"
	})
	stripe := newStripe(t)
	var replicas []*program
	for range 2 {
		replicas = append(replicas, start(t, []string{"serve", "--config", config, "--drain-pause", "0s"}, stripeAt(stripe.URL)...).ready())
	}
	seen := map[int]int{}
	for n := range 20 {
		p := replicas[n%2]
		seen[p.call("POST", p.public+"/portal", token("alice"), "").status]++
	}
	if made := seen[http.StatusCreated]; made < 2 || made > 5 || made+seen[http.StatusTooManyRequests] != 20 {
		t.Errorf("got %v, want 5 × 201 and the rest 429", seen)
	}
	keys, err := redis.Do("KEYS", "till:owner:*")
	if err != nil || len(fmt.Sprint(keys)) < len("[till:owner:]") {
		t.Errorf("Redis has %v, %v", keys, err)
	}
	for _, p := range replicas {
		p.stop()
		if code := p.exit(); code != 0 || strings.Contains(p.stderr.String(), "canary") {
			t.Errorf("exit code %d:\n%s", code, p.stderr)
		}
	}
}
