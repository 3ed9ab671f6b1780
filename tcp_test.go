package minikafka

import (
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
)

func TestPortIsKeptWhileNobodyListens(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("ports are kept on Linux only")
	}
	n := &tcp{guards: map[string]io.Closer{}}
	defer n.close()
	first, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := first.Addr().String()
	served, err := n.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	served.Close()
	first.Close()

	if _, err := n.Dial(t.Context(), address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialing while nobody listens: %v", err)
	}
	if guard, _ := guardPort("127.0.0.1:0"); guard == nil {
		t.Error("no free port can be guarded")
	} else {
		guard.Close()
	}
	again, err := n.Listen(address)
	if err != nil {
		t.Fatalf("listening again: %v", err)
	}
	defer again.Close()
	if _, err := net.Listen("tcp", address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening on a taken port: %v", err)
	}
	if _, err := (&tcp{guards: map[string]io.Closer{}}).Listen(address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("another cluster listening on a taken port: %v", err)
	}
}
