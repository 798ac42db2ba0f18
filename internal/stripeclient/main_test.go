package stripeclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// trusted is a certificate as Stripe might have it, the others are not.
var trusted, expired, otherHost, unknownCA tls.Certificate

func TestMain(m *testing.M) {
	// net/http prints what arrives on an idle connection with the standard logger,
	// bytes and all. No transport can be told not to: where that logger writes is for
	// the command to decide.
	log.SetOutput(io.Discard)
	if os.Getenv(upstreamEnv) != "" {
		upstream()
	}
	os.Exit(withRoots(m.Run))
}

// withRoots runs the tests with a system that trusts one authority of ours.
func withRoots(run func() int) int {
	dir, err := os.MkdirTemp("", "stripeclient")
	must(err)
	defer os.RemoveAll(dir)
	ours, theirs := newAuthority(), newAuthority()
	file := filepath.Join(dir, "roots.pem")
	must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw}), 0o600))
	must(os.Setenv("SSL_CERT_FILE", file))
	must(os.Setenv("SSL_CERT_DIR", dir))
	names, later := []string{"api.stripe.com", "stripe.internal"}, time.Now().Add(time.Hour)
	trusted = ours.issue(names, later)
	expired = ours.issue(names, time.Now().Add(-time.Minute))
	otherHost = ours.issue([]string{"api.stripe.example"}, later)
	unknownCA = theirs.issue(names, later)
	return run()
}

type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority() authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return authority{key, cert}
}

func (a authority) issue(names []string, until time.Time) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func serverTLS(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: []string{"h2", "http/1.1"}}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
