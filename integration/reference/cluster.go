package reference

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/minikafka/minikafka/integration/reference/child"
)

// Cluster is a running Apache Kafka. Its methods may be called from several goroutines.
type Cluster struct {
	cfg   Config
	jars  string
	nodes map[int32]*node
	start *child.Starter
	links *switchboard // passes nothing on unless cfg.Links
	temp  bool         // Close removes cfg.Dir
	close sync.Once
}

// Start fetches the release if need be, formats storage, starts all nodes and waits until every broker serves. It takes
// about ten seconds on two cores; ctx bounds it.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg = cfg.withDefaults()
	jars, err := Fetch(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, jars: jars, nodes: map[int32]*node{}, start: child.NewStarter(), links: newSwitchboard()}
	if cfg.Dir == "" {
		if c.cfg.Dir, err = os.MkdirTemp("", "reference-"); err != nil {
			return nil, fmt.Errorf("reference: %w", err)
		}
		c.temp = true
	}
	if err := c.boot(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// boot formats and starts all nodes.
func (c *Cluster) boot(ctx context.Context) error {
	if err := c.layOut(); err != nil {
		return err
	}
	if err := c.format(ctx); err != nil {
		return err
	}
	for _, n := range c.nodes {
		if err := c.Start(n.id); err != nil {
			return err
		}
	}
	return c.WaitHealthy(ctx)
}

// layOut gives every node an id, addresses and a folder with its configuration.
func (c *Cluster) layOut() error {
	total := c.cfg.Brokers + c.cfg.Controllers
	addrs, err := freeAddrs(3 * total)
	if err != nil {
		return err
	}
	next := func() string {
		a := addrs[0]
		addrs = addrs[1:]
		return a
	}
	var bootstrap []string
	for i := range c.cfg.Controllers {
		n := &node{id: firstController + int32(i), controller: true, addr: next()}
		n.peer, n.inner = n.addr, n.addr
		if c.cfg.Links {
			n.inner = next()
		}
		c.nodes[n.id] = n
		bootstrap = append(bootstrap, n.addr)
	}
	for i := range c.cfg.Brokers {
		n := &node{id: 1 + int32(i), addr: next(), peer: next(), inner: next()}
		c.nodes[n.id] = n
	}
	for id, n := range c.nodes {
		n.dir = filepath.Join(c.cfg.Dir, fmt.Sprint(id))
		if err := n.write(c.cfg, strings.Join(bootstrap, ",")); err != nil {
			return fmt.Errorf("reference: node %d: %w", id, err)
		}
		if c.cfg.Links {
			if err := c.links.listen(n.peer, n.inner, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// format runs Kafka's storage tool for every node. The controllers are formatted as the first voters of the metadata quorum.
func (c *Cluster) format(ctx context.Context) error {
	clusterID := newUUID()
	var voters []string
	for _, id := range c.Controllers() {
		voters = append(voters, fmt.Sprintf("%d@%s:%s", id, c.nodes[id].addr, newUUID()))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, runtime.NumCPU()))
	for _, n := range c.nodes {
		args := []string{"format", "-t", clusterID, "-c", n.file("server.properties")}
		if n.controller {
			args = append(args, "--initial-controllers", strings.Join(voters, ","))
			if c.cfg.WithoutELR {
				args = append(args, "--feature", "eligible.leader.replicas.version=0")
			}
		}
		g.Go(func() error {
			var out strings.Builder
			cmd := n.java(ctx, c.jars, nil, "kafka.tools.StorageTool", args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := c.start.Start(cmd); err != nil {
				return fmt.Errorf("reference: formatting node %d: %w", n.id, err)
			}
			if err := cmd.Wait(); err != nil {
				return fmt.Errorf("reference: formatting node %d: %w\n%s", n.id, err, out.String())
			}
			return nil
		})
	}
	return g.Wait()
}

// Addrs returns the address of every broker, dead ones included; they keep it for life.
func (c *Cluster) Addrs() map[int32]string {
	addrs := map[int32]string{}
	for _, id := range c.Brokers() {
		addrs[id] = c.nodes[id].addr
	}
	return addrs
}

// Brokers returns the brokers' ids in order.
func (c *Cluster) Brokers() []int32 { return c.ids(false) }

// Controllers returns the controllers' ids in order.
func (c *Cluster) Controllers() []int32 { return c.ids(true) }

func (c *Cluster) ids(controller bool) []int32 {
	var ids []int32
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if c.nodes[id].controller == controller {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *Cluster) node(id int32) (*node, error) {
	if n := c.nodes[id]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %d", ErrUnknownNode, id)
}

// Start starts a node that is not running, on its old address and data. It does not wait until the node serves.
func (c *Cluster) Start(id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	if err := n.start(c.jars, c.cfg.HeapMB, c.start); err != nil {
		return err
	}
	c.cfg.Logf("reference: started node %d on %s", id, n.addr)
	return nil
}

// Kill ends a node at once (kill -9), paused or not: the operating system keeps what it wrote. It returns when the process is
// gone.
func (c *Cluster) Kill(id int32) error {
	p, err := c.signal(id, "killed", os.Kill)
	if err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop ends a node in an orderly way, for a broker a controlled shutdown, and waits until its process is gone.
func (c *Cluster) Stop(ctx context.Context, id int32) error {
	stop, _, _ := signals()
	p, err := c.signal(id, "stopping", stop)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reference: node %d did not stop: %w", id, ctx.Err())
	}
}

// Pause freezes a node's process where it is (SIGSTOP): its connections stay open and nobody answers.
func (c *Cluster) Pause(id int32) error {
	_, pause, _ := signals()
	_, err := c.signal(id, "paused", pause)
	return err
}

// Resume lets a paused node go on (SIGCONT).
func (c *Cluster) Resume(id int32) error {
	_, _, resume := signals()
	_, err := c.signal(id, "resumed", resume)
	return err
}

func (c *Cluster) signal(id int32, doing string, s os.Signal) (*process, error) {
	n, err := c.node(id)
	if err != nil {
		return nil, err
	}
	p, err := n.signal(s)
	if err == nil {
		c.cfg.Logf("reference: %s node %d", doing, id)
	}
	return p, err
}

// FailDisk takes a node's data away from under it: files that are open go on, and no other can be opened or made. A partition
// whose log needs a new segment fails, and with its only log directory the node ends, as it does when it next writes a checkpoint.
func (c *Cluster) FailDisk(id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	if err := os.Rename(n.file("data"), n.file("lost")); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	c.cfg.Logf("reference: the disk of node %d fails", id)
	return os.WriteFile(n.file("data"), nil, 0o644)
}

// MendDisk waits until the node has ended for its lack of data, and gives it back.
func (c *Cluster) MendDisk(ctx context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	select {
	case <-n.ended():
	case <-ctx.Done():
		return fmt.Errorf("reference: node %d goes on without its disk: %w", id, ctx.Err())
	}
	if err := os.Remove(n.file("data")); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	return os.Rename(n.file("lost"), n.file("data"))
}

// Cut breaks what node from says to node to: the connections that from opens, and the answers on them. Config.Links must be set.
// Clients still reach every broker.
func (c *Cluster) Cut(from, to int32) error {
	if !c.cfg.Links {
		return ErrNoLinks
	}
	if c.nodes[from] == nil || c.nodes[to] == nil {
		return fmt.Errorf("%w: %d or %d", ErrUnknownNode, from, to)
	}
	c.cfg.Logf("reference: cut the link from node %d to node %d", from, to)
	c.links.set(link{from, to}, true)
	return nil
}

// Mend mends all links.
func (c *Cluster) Mend() { c.links.mend() }

// Close kills all nodes and, if the folder was made for them, removes their data.
func (c *Cluster) Close() error {
	var err error
	c.close.Do(func() {
		for id, n := range c.nodes {
			if e := c.Kill(id); e != nil && !errors.Is(e, ErrNotRunning) {
				err = errors.Join(err, e)
			}
			<-n.ended()
		}
		c.start.Close()
		c.links.close()
		if c.temp {
			err = errors.Join(err, os.RemoveAll(c.cfg.Dir))
		}
	})
	return err
}

// freeAddrs finds n loopback addresses that nobody listens on. They lie below the range from which systems take the ports
// of outgoing connections, which could otherwise occupy a broker's port while it is down.
func freeAddrs(n int) ([]string, error) {
	const tries = 1000
	var addrs []string
	for range tries {
		l, err := net.Listen("tcp", randomAddr())
		if err != nil {
			continue
		}
		defer l.Close() // All are held until all are found, so that no two are the same.
		if addrs = append(addrs, l.Addr().String()); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, fmt.Errorf("reference: found only %d of %d free ports", len(addrs), n)
}
