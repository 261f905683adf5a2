package dns

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// errNoUpstream says that the machine has no resolvers of its own.
var errNoUpstream = errors.New("the machine has no resolvers")

// upstream asks the machine's own resolvers. Their list is read again when the
// file changes, as it does when a laptop moves.
type upstream struct {
	file string

	mu      sync.Mutex
	read    time.Time // the file's time when it was read
	servers []string
}

func (u *upstream) list() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.file)
	if err != nil {
		u.servers, u.read = nil, time.Time{}
		return nil
	}
	if info.ModTime().Equal(u.read) {
		return u.servers
	}
	u.servers, u.read = nil, info.ModTime()
	if c, err := dns.ClientConfigFromFile(u.file); err == nil {
		for _, s := range c.Servers {
			u.servers = append(u.servers, net.JoinHostPort(s, c.Port))
		}
	}
	return u.servers
}

// ask puts the question to one resolver after the other. A client that asked by
// TCP gets the whole answer.
func (u *upstream) ask(q *dns.Msg, udp bool) (*dns.Msg, error) {
	err := errNoUpstream
	for _, server := range u.list() {
		var m *dns.Msg
		client := dns.Client{Timeout: 2 * time.Second}
		m, _, err = client.Exchange(q, server)
		if err == nil && m.Truncated && !udp {
			client.Net = "tcp"
			m, _, err = client.Exchange(q, server)
		}
		if err == nil {
			m.Id = q.Id
			return m, nil
		}
	}
	return nil, err
}
