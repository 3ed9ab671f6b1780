package reference

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// link is a pair of nodes: the one that opened a connection, and the one that it leads to.
type link struct{ from, to int32 }

// switchboard passes on what nodes say to each other, and breaks connections of links that are cut. Nodes do not know of it: it
// listens where they advertise. It learns who opened a connection from the client id of the first request, in which every node
// puts its own id.
type switchboard struct {
	mu        sync.Mutex // guards what follows
	cut       map[link]bool
	conns     map[net.Conn]link // both ends of every connection, once it is known who opened it
	listeners []net.Listener
	closed    bool
}

func newSwitchboard() *switchboard {
	return &switchboard{cut: map[link]bool{}, conns: map[net.Conn]link{}}
}

// listen passes connections to addr on to the node at target.
func (s *switchboard) listen(addr, target string, to int32) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // The switchboard is closed.
			}
			go s.pass(conn, target, to)
		}
	}()
	return nil
}

// set cuts a link, or mends it. Connections that are there are broken: a node that may connect again does so.
func (s *switchboard) set(l link, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut[l] = cut; !cut {
		return
	}
	for conn, of := range s.conns {
		if of == l {
			_ = conn.Close() // What it says is of no interest.
		}
	}
}

// mend mends all links.
func (s *switchboard) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.cut)
}

// close ends everything.
func (s *switchboard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, l := range s.listeners {
		_ = l.Close() // Nobody connects any more.
	}
	for conn := range s.conns {
		_ = conn.Close() // What it says is of no interest.
	}
}

// admit notes a connection, unless its link is cut.
func (s *switchboard) admit(l link, conns ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.cut[l] {
		return false
	}
	for _, c := range conns {
		s.conns[c] = l
	}
	return true
}

func (s *switchboard) forget(conns ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		delete(s.conns, c)
	}
}

// pass copies both ways until either end closes.
func (s *switchboard) pass(client net.Conn, target string, to int32) {
	defer client.Close()
	head, from, err := opener(client)
	if err != nil {
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	if !s.admit(link{from, to}, client, server) {
		return
	}
	defer s.forget(client, server)
	if _, err := server.Write(head); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(way[1], way[0]) // An end that closes is no error.
			done <- struct{}{}
		}()
	}
	<-done
}

// identifyWithin bounds how long a connection may say nothing before it is given up.
const identifyWithin = time.Minute

// opener reads the beginning of a connection's first request, up to the client id in its header, and returns it with the id of the
// node that sent it, or -1. The header is: length, API key, version, correlation id, client id.
func opener(conn net.Conn) (head []byte, node int32, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(identifyWithin)); err != nil {
		return nil, 0, err
	}
	const fixed = 4 + 2 + 2 + 4 + 2
	head = make([]byte, fixed)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, 0, err
	}
	id := make([]byte, max(0, int(int16(binary.BigEndian.Uint16(head[fixed-2:])))))
	if _, err := io.ReadFull(conn, id); err != nil {
		return nil, 0, err
	}
	return append(head, id...), nodeOf(string(id)), conn.SetReadDeadline(time.Time{})
}

// nodeOf finds the id of a node in the client id that it goes by: "1", "broker-1-fetcher-0", "raft-client-1".
func nodeOf(clientID string) int32 {
	m := regexp.MustCompile(`^(?:\D*-)?(\d+)\b`).FindStringSubmatch(clientID)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}
