//go:build attack

package attack

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"till/internal/auth/devissuer"
)

// TestBadTokens: thousands of requests a second, each with a token that is bad in its own
// way, beside honest callers whose Stripe takes 20 ms, and, in the full form, while the
// issuer changes its keys.
func TestBadTokens(t *testing.T) {
	p, idp := startAlone(t, stripeTakes, &atomic.Int64{})
	token := idp.mint("alice")
	id := p.member("POST", "/checkout", token, `{"plan":"pro"}`, "id", 201)

	calm, storm, window := 4*time.Second, 8*time.Second, 2*time.Second
	if *form == "full" {
		calm, storm, window = 15*time.Second, 70*time.Second, 5*time.Second
	}
	stretch := busy()
	honest := visit(t, 15*time.Millisecond, func(i int) error { return p.ask(i, token, id) })
	time.Sleep(time.Second) // connections and caches are warm
	before := time.Now()
	time.Sleep(calm / 2)
	begins := time.Now()
	bad := idp.storm(t, p)
	took := idp.rotate(t, p, begins, storm)
	time.Sleep(time.Until(begins.Add(storm)))
	ends := time.Now()
	answered, wrong := bad()
	after := time.Now()
	time.Sleep(calm / 2)
	visits := honest()
	over := time.Now()

	const asked = 5000
	rate := float64(answered) / ends.Sub(begins).Seconds()
	report(t, fmt.Sprintf("%d bad tokens beside honest callers", answered), "5,000/s, all 401",
		fmt.Sprintf("%.0f/s, %d not 401 (the machine does everything %.1f times as slow as alone)", rate, wrong, stretch),
		wrong == 0 && answered > 0)
	if rate < 0.95*asked {
		t.Logf("this machine makes %.0f bad tokens a second; what follows is about as many", rate)
	}
	report(t, "  honest callers meanwhile", "success ≥ 99.9 %", visits.String(), visits.success() >= 0.999)
	quiet := min(visits.typicalP99(before, begins, window), visits.typicalP99(after, over, window))
	loud := visits.typicalP99(begins, ends, window)
	reportTimed(t, stretch, "  their p99 against the p99 without", "≤ 2 times",
		fmt.Sprintf("%.1f times (%d and %d ms)", float64(loud)/float64(quiet), loud.Milliseconds(), quiet.Milliseconds()), loud <= 2*quiet)
	fetches, closest := idp.fetches()
	// A second for what the machine itself is late by.
	report(t, "  fetches of the issuer's keys", "1 in 30 s at most",
		fmt.Sprintf("%d in %.0f s%s", fetches, over.Sub(before).Seconds(), apart(closest)),
		closest == 0 || closest >= 29*time.Second)
	if *form == "full" {
		report(t, "  a new key of the issuer", "known in ≤ 30 s", fmt.Sprintf("after %.1f s", took.Seconds()), took > 0 && took <= 31*time.Second)
	}
}

func apart(closest time.Duration) string {
	if closest == 0 {
		return ""
	}
	return fmt.Sprintf(", the closest two %.1f s apart", closest.Seconds())
}

// ask is an honest call: mostly a look at a session, sometimes a portal.
func (p *program) ask(i int, token, id string) error {
	method, path, want := "GET", "/checkout/"+id, 200
	if i%5 == 0 {
		method, path, want = "POST", "/portal", 201
	}
	status, text, err := p.call(method, path, token, "")
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: %d %s", method, path, status, text)
	}
	return err
}

// issuer serves its keys, and remembers when it was asked for them.
type issuer struct {
	url      string
	old, new *devissuer.Issuer
	// ago turns the clock back by which tokens are made.
	ago atomic.Int64

	mu      sync.Mutex
	rotated bool
	asked   []time.Time
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked = append(i.asked, time.Now())
		keys := i.old.JWKS()
		if i.rotated {
			// {"keys":[a]} and {"keys":[b]}: the old one is there for a while.
			keys = slices.Concat(bytes.TrimSuffix(keys, []byte("]}")), []byte(","), bytes.TrimPrefix(i.new.JWKS(), []byte(`{"keys":[`)))
		}
		_, _ = w.Write(keys)
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	var err1, err2 error
	i.old, err1 = devissuer.New(i.url, "till", func() time.Time { return time.Now().Add(-time.Duration(i.ago.Load())) })
	i.new, err2 = devissuer.New(i.url, "till", time.Now)
	if err := cmp.Or(err1, err2); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *issuer) mint(subject string) string {
	token, _, _ := i.old.Mint(devissuer.Claims{Subject: subject})
	return token
}

// fetches is how often the keys were asked for, and the time between the closest two.
func (i *issuer) fetches() (n int, closest time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := 1; k < len(i.asked); k++ {
		if gap := i.asked[k].Sub(i.asked[k-1]); closest == 0 || gap < closest {
			closest = gap
		}
	}
	return len(i.asked), closest
}

// rotate adds a key in the middle of a storm and returns how long its tokens were
// refused. The short form is over before a cool-down is.
func (i *issuer) rotate(t *testing.T, p *program, begins time.Time, storm time.Duration) time.Duration {
	t.Helper()
	if *form != "full" {
		return 0
	}
	token, _, err := i.new.Mint(devissuer.Claims{Subject: "carol"})
	if err != nil {
		t.Fatal(err)
	}
	// Right after a fetch, so that the wait is the longest that there is.
	for since := len(i.times()); len(i.times()) == since && time.Since(begins) < storm/2; {
		time.Sleep(50 * time.Millisecond)
	}
	i.mu.Lock()
	i.rotated = true
	i.mu.Unlock()
	for from := time.Now(); time.Since(begins) < storm; time.Sleep(200 * time.Millisecond) {
		status, _, err := p.call("GET", "/checkout/cs_test_x", token, "")
		if err == nil && status != http.StatusUnauthorized {
			return time.Since(from)
		}
	}
	return 0
}

func (i *issuer) times() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.asked)
}

// storm sends bad tokens, 5,000 a second if the machine can, until it is told to end.
func (i *issuer) storm(t *testing.T, p *program) (end func() (answered, wrong int64)) {
	t.Helper()
	const workers, batch, rate = 10, 10, 5000
	requests := i.bad(t)
	stop := make(chan struct{})
	var answered, wrong atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			if err := pour(p.address(), requests, worker, batch, time.Second*workers*batch/rate, stop, &answered, &wrong); err != nil {
				t.Errorf("the storm: %v", err)
			}
		})
	}
	return func() (int64, int64) {
		close(stop)
		wg.Wait()
		return answered.Load(), wrong.Load()
	}
}

// pour sends a batch every so often down one connection, as soon as the one before is
// answered, and counts the answers.
func pour(address string, requests []string, from, batch int, every time.Duration, stop chan struct{}, answered, wrong *atomic.Int64) error {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var out []byte
	for due := time.Now(); ; due = due.Add(every) {
		// What a busy machine misses it need not make up for at once.
		if behind := time.Now().Add(-200 * time.Millisecond); due.Before(behind) {
			due = behind
		}
		select {
		case <-stop:
			return nil
		case <-time.After(time.Until(due)):
		}
		out = out[:0]
		for range batch {
			from += 7919 // another prime for another order
			out = append(out, requests[from%len(requests)]...)
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
		for range batch {
			status, err := answer(in)
			if err != nil {
				return err
			}
			answered.Add(1)
			if status != http.StatusUnauthorized {
				wrong.Add(1)
			}
		}
	}
}

// answer reads one answer with a length, as cheaply as possible.
func answer(in *bufio.Reader) (status int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, fmt.Errorf("%q is no status line", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	for length := 0; ; {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= len("\r\n") {
			_, err = in.Discard(length)
			return status, err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}

// bad are requests, each with a token that must be refused.
func (i *issuer) bad(t *testing.T) []string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(i.mint("mallory"), ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	i.ago.Store(int64(2 * time.Hour))
	expired := i.mint("mallory")
	i.ago.Store(0)
	stranger, err := devissuer.New("https://other.example.com", "till", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := stranger.Mint(devissuer.Claims{Subject: "mallory"})
	if err != nil {
		t.Fatal(err)
	}
	signature := func() string {
		b := make([]byte, 64)
		_, _ = rand.Read(b)
		return encode(b)
	}
	secret := func(text string) string {
		mac := hmac.New(sha256.New, i.old.JWKS())
		mac.Write([]byte(text))
		return encode(mac.Sum(nil))
	}
	with := func(header string) string { return encode([]byte(header)) + "." + parts[1] }
	var requests []string
	for n := range 400 {
		x := rand.Text()
		for _, token := range []string{
			with(`{"alg":"ES256","kid":"`+x+`"}`) + "." + parts[2],                                // an unknown kid
			with(`{"alg":"RS256","kid":"`+x+`"}`) + "." + signature(),                             // another
			parts[0] + "." + parts[1] + "." + signature(),                                         // forged
			parts[0] + "." + encode([]byte(`{"iss":"`+i.url+`","sub":"`+x+`"}`)) + "." + parts[2], // changed
			expired,                                             // expired
			foreign,                                             // another issuer's
			x, x + "." + x + "." + x, "", strings.Repeat(x, 40), // garbage
			with(`{"alg":"none"}`) + ".", with(`{"alg":"nOnE"}`) + "." + parts[2], // none
			with(`{"alg":"HS256"}`) + "." + secret(with(`{"alg":"HS256"}`)),  // the public key as a secret
			with(`{"alg":"ES256","jku":"`+i.url+`/`+x+`"}`) + "." + parts[2], // keys of his own
			with(`{"alg":"ES256","crit":["x"]}`) + "." + parts[2],
			encode(append(header, ' ')) + "." + parts[1] + "." + parts[2],
		} {
			method, path := "GET", "/checkout/cs_test_"+strconv.Itoa(n)
			if n%2 == 0 {
				method, path = "POST", "/portal"
			}
			requests = append(requests, method+" "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n"+
				map[string]string{"GET": "", "POST": "Content-Length: 0\r\n"}[method]+"\r\n")
		}
	}
	return requests
}
