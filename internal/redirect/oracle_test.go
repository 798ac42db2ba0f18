package redirect_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBrowsersAgree puts everything accepted from three sources through Node's
// URL, which is what browsers do: the controls, every printable byte at every
// place, and random mixtures of hostile and valid lines.
func TestBrowsersAgree(t *testing.T) {
	t.Parallel()
	p := policy(t, options)
	var pairs [][2]string
	for _, raw := range candidates(t) {
		if out, err := p.Check(raw); err == nil {
			verify(t, p, raw, out)
			if strings.HasPrefix(raw, "app:") {
				raw = out // no URL to a browser; only what becomes of it is
			}
			pairs = append(pairs, [2]string{raw, out})
		}
	}
	if len(pairs) < 1000 {
		t.Fatalf("only %d URLs are accepted: the oracle would see nothing", len(pairs))
	}
	node, err := exec.LookPath("node")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("the WHATWG oracle needs node, and CI may not go without")
	}
	if err != nil {
		t.Skip("WHATWG oracle not run: no node")
	}
	for _, difference := range ask(t, node, pairs) {
		t.Errorf("a browser reads this differently: %v", difference)
	}
	t.Logf("%d accepted URLs agree with WHATWG", len(pairs))
}

func ask(t *testing.T, node string, pairs [][2]string) []map[string]any {
	t.Helper()
	input, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "testdata/oracle.mjs")
	cmd.Stdin = strings.NewReader(string(input))
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, output)
	}
	var wrong []map[string]any
	if err := json.Unmarshal(output, &wrong); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	return wrong
}

func candidates(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, f := range lines(t, "valid.txt") {
		all = append(all, f[1])
	}
	for _, f := range lines(t, "hostile.txt") {
		all = append(all, f[2])
	}
	seeds := all
	for c := range 0x80 {
		for _, form := range []string{
			"%chttps://app.example.com/", "https%c://app.example.com/", "https:%c//app.example.com/", "https://%capp.example.com/",
			"https://app.example.com%c", "https://app.example.com%c/x", "https://app.example.com/%c", "https://app.example.com/a%cb",
			"https://app.example.com/?%c", "https://app.example.com/?a%cb", "https://app.example.com/#%c", "https://app.example.com/a?b#c%cd",
			"https://shop.example.com/pay/%c", "https://shop.example.com/pay/%c./x", "https://app.example.com:443%c",
		} {
			all = append(all, fmt.Sprintf(form, c))
		}
		all = append(all, fmt.Sprintf("https://app.example.com/a%%%02xb?%%%02X#%%%02x", c, c, c))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40000 {
		all = append(all, mix(random, seeds))
	}
	return all
}

// mix joins the beginning of one seed and the end of another, or changes bytes of one.
func mix(random *rand.Rand, seeds []string) string {
	a, b := seeds[random.IntN(len(seeds))], seeds[random.IntN(len(seeds))]
	if random.IntN(2) == 0 && strings.HasPrefix(a, "https://app") {
		return "https://app.example.com/" + a[random.IntN(len(a)):] + b[random.IntN(len(b)+1):]
	}
	const telling = " \t%./\\?#@:;{}<>\"'`^|[]~0aZ"
	changed := []byte(a)
	for range random.IntN(3) {
		if len(changed) > 0 {
			changed[random.IntN(len(changed))] = telling[random.IntN(len(telling))]
		}
	}
	return string(changed)
}
