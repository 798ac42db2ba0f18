package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"till/internal/secret"
)

func TestNothingPrintsASecret(t *testing.T) {
	const canary = "sk_live_canary"
	s := secret.New(canary)
	holder := struct {
		Key secret.Secret
		Ptr *secret.Secret
	}{s, &s}

	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "key", s, "holder", holder)
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{
		"v": fmt.Sprintf("%v", s), "+v": fmt.Sprintf("%+v", holder), "#v": fmt.Sprintf("%#v", holder),
		"text": s.String(), "q": fmt.Sprintf("%q", s), "x": fmt.Sprintf("%x", s),
		"json": string(encoded), "slog": logged.String(),
	} {
		if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s shows the secret: %s", name, out)
		}
	}
	if s.Reveal() != canary || s.IsZero() || !(secret.Secret{}).IsZero() {
		t.Error("the secret itself is lost")
	}
}
