package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"runtime"
	"testing"
	"time"

	"minato/dataplane/proxy/loop"
)

func config(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// served is a handshake over memory; what it says lies in To.Out.
func served(g *Greeter, c *tls.Config) *Handshake {
	return g.New(c, &Pipe{To: &loop.Conn{Out: make([]byte, 0, 1)}})
}

// TestHandshake does handshakes with a client, in pieces of all sizes, and gives its
// first words to who comes after.
func TestHandshake(t *testing.T) {
	conf := config(t)
	var g Greeter
	defer g.Close()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{1, 7, 300, 1 << 16} {
			near, far := net.Pipe()
			near.SetDeadline(time.Now().Add(time.Minute))
			go func() {
				defer far.Close()
				io.WriteString(tls.Client(far, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}), "hello")
				io.Copy(io.Discard, far)
			}()
			h := served(&g, conf)
			b := make([]byte, size)
			for over := false; !over; {
				n, err := near.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				if over, err = h.Received(b[:n]); err != nil {
					t.Fatal(err)
				}
				if out := h.Below.To.Out; len(out) > 0 {
					near.Write(out)
					h.Below.To.Out = out[:0]
				}
			}
			said, room := "", make([]byte, 5)
			for said != "hello" {
				n, err := h.Conn.Read(room)
				var ne net.Error
				switch {
				case err == nil:
					said += string(room[:n])
				case !errors.As(err, &ne) || !ne.Timeout():
					t.Fatal(err)
				default:
					n, err := near.Read(b)
					if err != nil {
						t.Fatal(err)
					}
					h.Below.In = b[:n]
				}
			}
			near.Close()
			if g.Busy() != 0 || h.Conn.ConnectionState().Version != version {
				t.Errorf("%d handshakes are not over; version %x", g.Busy(), h.Conn.ConnectionState().Version)
			}
		}
	}
}

// TestAbort gives up handshakes that wait; no coroutine is left of them when all is
// closed.
func TestAbort(t *testing.T) {
	before := runtime.NumGoroutine()
	conf := config(t)
	var g Greeter
	var all []*Handshake
	for range 3 * keepWorkers {
		h := served(&g, conf)
		if over, err := h.Received([]byte("\x16\x03\x01\x02\x00\x01")); over || err != nil {
			t.Fatal(over, err)
		}
		all = append(all, h)
	}
	for _, h := range all[keepWorkers:] {
		h.Abort()
	}
	served(&g, conf).Abort() // has not begun
	if g.Busy() != keepWorkers || len(g.idle) != keepWorkers {
		t.Errorf("%d are busy, %d at rest", g.Busy(), len(g.idle))
	}
	g.Close()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d coroutines are left", runtime.NumGoroutine()-before)
		}
	}
}
