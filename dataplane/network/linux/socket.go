package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listen implements network.Network.
func (n *Network) Listen(ctx context.Context, vpc string, addr netip.AddrPort) (l net.Listener, err error) {
	err = n.inVPC(vpc, func() error {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp4", addr.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("VPC %s: %w", vpc, err)
	}
	return l, nil
}

// ListenEndpoint implements network.Network.
func (n *Network) ListenEndpoint(ctx context.Context, endpoint string, port uint16) (l net.Listener, err error) {
	ns, err := os.Open(n.NetnsPath(endpoint))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	err = inNS(ns, func() error {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", endpoint, err)
	}
	return l, nil
}

// ListenPacket implements network.Network.
func (n *Network) ListenPacket(ctx context.Context, vpc string, addr netip.AddrPort) (c net.PacketConn, err error) {
	err = n.inVPC(vpc, func() error {
		c, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", addr.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("VPC %s: %w", vpc, err)
	}
	return c, nil
}

// Dial implements network.Network. Only the socket is made inside the VPC: a
// socket stays in the namespace it was made in, so binding and connecting go on
// here, without a thread of their own.
func (n *Network) Dial(ctx context.Context, vpc string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return n.dial(ctx, n.vpcPin(vpc), from, to)
}

// Socket implements network.Network.
func (n *Network) Socket(vpc string, from netip.Addr) (int, error) {
	fd, err := n.socketIn(n.vpcPin(vpc))
	if err != nil {
		return -1, fmt.Errorf("VPC %s: %w", vpc, err)
	}
	if err := bind(fd, from); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bind binds a socket that is going to be connected: its port is found when it
// is known where to, so that one serves for many destinations.
func bind(fd int, from netip.Addr) error {
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // works without
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}))
}

// DialInterface implements network.Network.
func (n *Network) DialInterface(ctx context.Context, eni string, to netip.AddrPort) (net.Conn, error) {
	return n.dial(ctx, n.NetnsPath(eni), netip.IPv4Unspecified(), to)
}

func (n *Network) dial(ctx context.Context, pin string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	fd, err := n.socketIn(pin)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	c, err := connect(ctx, fd, from, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{IP: from.AsSlice()}, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return c, nil
}

// socketIn makes a TCP socket in a pinned namespace.
func (n *Network) socketIn(pin string) (int, error) {
	ns, err := unix.Open(pin, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: pin, Err: err}
	}
	defer unix.Close(ns)
	runtime.LockOSThread()
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return -1, os.NewSyscallError("setns", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if back := unix.Setns(int(n.home.Fd()), unix.CLONE_NEWNET); back != nil {
		// This thread is lost in there; going on would run strangers' code there.
		panic(fmt.Sprintf("network: cannot come back from %s: %v", pin, back))
	}
	runtime.UnlockOSThread()
	return fd, os.NewSyscallError("socket", err)
}

// connect binds and connects a non-blocking socket, which it takes over.
func connect(ctx context.Context, fd int, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if err := bind(fd, from); err != nil {
		unix.Close(fd)
		return nil, err
	}
	err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	f := os.NewFile(uintptr(fd), "tcp") // non-blocking, so the runtime's poller takes it
	defer f.Close()
	if err != nil {
		if err := connected(ctx, f); err != nil {
			return nil, err
		}
	}
	return net.FileConn(f)
}

// connected waits until a connect has ended.
func connected(ctx context.Context, f *os.File) error {
	if d, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(d); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			result = os.NewSyscallError("getsockopt", err)
		case code != 0:
			result = os.NewSyscallError("connect", syscall.Errno(code))
		default:
			_, err := unix.Getpeername(int(fd))
			if errors.Is(err, unix.ENOTCONN) {
				return false
			}
			result = os.NewSyscallError("getpeername", err)
		}
		return true
	})
	if result != nil {
		return result
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
