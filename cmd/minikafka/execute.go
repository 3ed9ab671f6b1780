package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/minikafka/minikafka"
)

// executor carries out requests on a cluster.
type executor struct {
	cluster *minikafka.Cluster

	mu    sync.Mutex // guards what follows
	holds map[string]func()
	run   *minikafka.ChaosRun // the newest
}

func newExecutor(c *minikafka.Cluster) *executor {
	return &executor{cluster: c, holds: map[string]func(){}}
}

// usageError is a request that makes no sense.
type usageError struct{ error }

func badRequest(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// result is what most verbs answer: what was done, and to what.
type result struct {
	Verb  string   `json:"verb"`
	Nodes []string `json:"nodes,omitempty"`
	// Leader is set by elect.
	Leader *int32 `json:"leader,omitempty"`
}

// do carries out one request and returns when it is done.
func (e *executor) do(req request) response {
	v, known := verbs()[req.Verb]
	if f, is := faultVerbs()[req.Verb]; is {
		v, known = f, true
	}
	if !known {
		return failure(badRequest("there is no verb %q", req.Verb))
	}
	if err := v.checkArgs(req.Verb, req.Args); err != nil {
		return failure(usageError{err})
	}
	var text string
	var answer any
	var err error
	tried := e.cluster.Try(func(c *minikafka.Cluster) { text, answer, err = e.carryOut(c, req) })
	if err = errors.Join(err, tried); err != nil {
		return failure(err)
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		return failure(err)
	}
	return response{Text: strings.TrimSpace(text), Result: encoded}
}

func failure(err error) response {
	var usage usageError
	return response{
		Error: strings.TrimSpace(err.Error()),
		Usage: errors.As(err, &usage) || errors.Is(err, minikafka.ErrUnknownNode) || errors.Is(err, minikafka.ErrArgument) || errors.Is(err, minikafka.ErrUnknownTopic),
	}
}

func (e *executor) carryOut(c *minikafka.Cluster, req request) (text string, answer any, err error) {
	switch req.Verb {
	case "status":
		s := c.Status()
		return s.String(), s, nil
	case "groups":
		return showGroups(c, req)
	case "transactions":
		return showTransactions(c, req)
	case "stats":
		return showBatches(c, req)
	case "heal":
		c.Heal()
		return "all links are mended", result{Verb: req.Verb}, nil
	case "split":
		return e.split(c, req)
	case "cut", "delay", "lose":
		return e.onLink(c, req)
	case "disk":
		return e.disk(c, req)
	case "chaos":
		return e.chaos(c, req)
	case "hold", "release", "elect":
		return e.onPartition(c, req)
	case "fault add", "fault list", "fault remove", "fault wait":
		return e.fault(c, req)
	default:
		return e.onNode(c, req)
	}
}

// showBatches tells how batches have come.
func showBatches(c *minikafka.Cluster, req request) (text string, answer any, err error) {
	if len(req.Args) == 0 {
		r := c.Batches()
		return r.String(), r, nil
	}
	if req.Args[0] != "reset" {
		return "", nil, badRequest("stats takes nothing or reset, not %q", req.Args[0])
	}
	c.ResetBatches()
	return "counting anew", result{Verb: req.Verb}, nil
}

// showGroups tells about all groups, or about one.
func showGroups(c *minikafka.Cluster, req request) (string, any, error) {
	if len(req.Args) > 0 {
		g := c.Group(req.Args[0])
		return g.String(), g, nil
	}
	list := c.Groups()
	return shown(list, "there are no groups"), list, nil
}

// shown is a line or more for each of a list, or what is said when it is empty.
func shown[T fmt.Stringer](list []T, none string) string {
	if len(list) == 0 {
		return none
	}
	var text strings.Builder
	for _, s := range list {
		fmt.Fprintln(&text, s)
	}
	return text.String()
}

// showTransactions tells about all transactional ids, or about one.
func showTransactions(c *minikafka.Cluster, req request) (string, any, error) {
	if len(req.Args) > 0 {
		s := c.Transaction(req.Args[0])
		return s.String(), s, nil
	}
	list := c.Transactions()
	return shown(list, "there are no transactions"), list, nil
}

// breakable is what brokers and controllers can both be told to do.
type breakable interface {
	minikafka.Node
	Crash()
	PowerOff()
	Pause()
	Resume()
	Shutdown()
	Restart()
	State() minikafka.State
}

func (e *executor) onNode(c *minikafka.Cluster, req request) (string, any, error) {
	n, err := findNode(c, req.Args[0], wanted(req.Verb))
	if err != nil {
		return "", nil, err
	}
	var text string
	switch req.Verb {
	case "crash":
		n.Crash()
		text = "crashed"
	case "shutdown":
		n.Shutdown()
		text = "is shut down"
	case "restart":
		n.Restart()
		text = "is running again"
	case "isolate":
		c.Isolate(n)
		text = "is cut off from all other nodes"
	case "power-off":
		n.PowerOff()
		text = "lost power"
	case "pause":
		n.Pause()
		text = "is paused"
	case "resume":
		n.Resume()
		text = "goes on"
	default:
		return "", nil, badRequest("there is no verb %q", req.Verb)
	}
	return fmt.Sprintf("%v %s", n, text), result{Verb: req.Verb, Nodes: []string{n.String()}}, nil
}

// wanted is which controller a verb means by "controller".
func wanted(verb string) condition {
	switch verb {
	case "restart":
		return isDown
	case "resume":
		return isPaused
	default:
		return isActive
	}
}

// condition is which of several controllers is meant when none is named.
type condition string

const (
	isActive condition = "active"
	isDown   condition = "down"
	isPaused condition = "paused"
)

// findNode finds the node that is meant.
func findNode(c *minikafka.Cluster, name string, want condition) (breakable, error) {
	if name == "controller" {
		return findController(c, want)
	}
	if id, ok := strings.CutPrefix(name, "controller:"); ok {
		n, err := parseID(id)
		if err != nil {
			return nil, badRequest("%q is not the id of a controller", id)
		}
		for _, ctl := range c.Controllers() {
			if ctl.ID() == n {
				return ctl, nil
			}
		}
		return nil, badRequest("there is no controller %d", n)
	}
	id, err := parseID(name)
	if err != nil {
		return nil, badRequest(`%q is not the id of a broker, "controller" or "controller:ID"`, name)
	}
	return c.Broker(id), nil
}

func findController(c *minikafka.Cluster, want condition) (breakable, error) {
	all := c.Controllers()
	if len(all) == 1 {
		return all[0], nil
	}
	if want == isActive {
		return c.Controller(), nil
	}
	var fitting []*minikafka.Controller
	for _, ctl := range all {
		state := ctl.State()
		if (state == minikafka.Paused) == (want == isPaused) && state != minikafka.Running {
			fitting = append(fitting, ctl)
		}
	}
	if len(fitting) != 1 {
		return nil, badRequest("%d of %d controllers are %s: name one as controller:ID", len(fitting), len(all), want)
	}
	return fitting[0], nil
}

func (e *executor) onPartition(c *minikafka.Cluster, req request) (string, any, error) {
	name := req.Args[0]
	topic, partition, err := parsePartition(name)
	if err != nil {
		return "", nil, usageError{err}
	}
	switch req.Verb {
	case "hold":
		return e.hold(c, topic, partition, name)
	case "release":
		return e.release(name)
	default:
		leader := c.Elect(topic, partition, req.Unclean)
		id := leader.ID()
		return fmt.Sprintf("%v leads %s", leader, name), result{Verb: req.Verb, Leader: &id}, nil
	}
}

func (e *executor) hold(c *minikafka.Cluster, topic string, partition int32, name string) (string, any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holds[name] == nil {
		e.holds[name] = c.HoldReplication(topic, partition)
	}
	return "followers of " + name + " copy nothing", result{Verb: "hold"}, nil
}

func (e *executor) release(name string) (string, any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	free := e.holds[name]
	if free == nil {
		return "", nil, fmt.Errorf("%s is not held", name)
	}
	free()
	delete(e.holds, name)
	return "followers of " + name + " copy again", result{Verb: "release"}, nil
}
