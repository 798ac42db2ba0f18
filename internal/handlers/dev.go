package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"till/internal/problem"
)

// DevTokenRequest is the body of POST /dev/token.
type DevTokenRequest struct {
	Subject string `json:"sub"`
	Email   string `json:"email"`
	Org     string `json:"org"`
	Role    string `json:"role"`
	// ExpiresIn is in seconds; nil is the issuer's default.
	ExpiresIn *int64 `json:"expires_in"`
}

type devTokenResponse struct {
	Token     string `json:"token"`
	ExpiresAt int64  `json:"expires_at"`
}

const maxDevLifetime = 24 * time.Hour

// devToken gives anybody a token for any subject; it exists only in development.
func (s *server) devToken(c echo.Context) error {
	if reason := s.notFromHere(c.Request()); reason != "" {
		return s.rejectCSRF(c.Request(), reason)
	}
	var req DevTokenRequest
	if err := decode(c.Request(), required, &req); err != nil {
		return err
	}
	res, err := s.mint(req)
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, res)
}

// notFromHere: a page on the internet can have its own name point at this machine
// (DNS rebinding), and is then of the same origin as we are. Our names it cannot
// have; and no page of another machine has to ask.
func (s *server) notFromHere(r *http.Request) csrfReason {
	origins := r.Header.Values("Origin")
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case !isLoopbackOrigin("http://"+r.Host) && r.Host != s.o.Dev.Host:
		return csrfHost
	case len(origins) > 1 || len(origins) == 1 && origins[0] != "null" && !isLoopbackOrigin(origins[0]) && !s.originAllowed(origins[0]):
		return csrfOrigin
	case len(origins) == 1 && origins[0] != "null", site == "same-origin":
		return ""
	case len(origins) == 1:
		return csrfOrigin
	case site == "cross-site":
		return csrfCrossSite
	case site != "":
		return csrfSite
	default:
		return "" // no browser
	}
}

func (s *server) mint(req DevTokenRequest) (devTokenResponse, error) {
	switch {
	case req.Subject == "" || len(req.Subject) > 255:
		return devTokenResponse{}, problem.At(problem.ValidationFailed, "/sub", "must be 1 to 255 bytes")
	case req.ExpiresIn != nil && (*req.ExpiresIn < 1 || *req.ExpiresIn > int64(maxDevLifetime/time.Second)):
		return devTokenResponse{}, problem.At(problem.ValidationFailed, "/expires_in", "must be 1 to 86400 seconds")
	}
	token, expires, err := s.o.Dev.Mint(req)
	return devTokenResponse{Token: token, ExpiresAt: expires.Unix()}, err
}

// Lifetime is what was asked for; 0 is the issuer's default.
func (r DevTokenRequest) Lifetime() time.Duration {
	if r.ExpiresIn == nil {
		return 0
	}
	return time.Duration(*r.ExpiresIn) * time.Second
}
