package minikafka

import (
	"io"
	"net/netip"
	"sync"
	"syscall"
)

// guardPort binds a socket to an address without listening on it. Linux then
// gives the port to nobody who asks for a free one, refuses connections to it,
// and still lets a socket of ours listen on it. It answers the address with its
// port, or nil where that cannot be done: then the port is not kept.
func guardPort(address string) (guard io.Closer, bound string) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil || !addr.Addr().Is4() {
		return nil, ""
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, ""
	}
	g := &socketGuard{fd: fd}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		_ = g.Close()
		return nil, ""
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		_ = g.Close()
		return nil, ""
	}
	name, err := syscall.Getsockname(fd)
	inet, ok := name.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		_ = g.Close()
		return nil, ""
	}
	return g, netip.AddrPortFrom(addr.Addr(), uint16(inet.Port)).String()
}

type socketGuard struct {
	fd   int
	once sync.Once
}

func (g *socketGuard) Close() (err error) {
	g.once.Do(func() { err = syscall.Close(g.fd) })
	return err
}
