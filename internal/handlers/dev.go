package handlers

import (
	"time"

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
func (s *server) devToken(req DevTokenRequest) (devTokenResponse, error) {
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
