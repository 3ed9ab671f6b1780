package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/minikafka/minikafka"
)

const faultHelp = `Make requests of clients fail on purpose. A fault is for the requests that match all that is set, by default for the
next one. It outlives restarts of brokers.

  minikafka fault add --api Produce --topic orders --error NOT_LEADER_OR_FOLLOWER
  minikafka fault add --api Produce --effect lose-answer --count 3
  minikafka fault add --api Fetch --delay-answer 2s --count always --probability 0.1 --seed 7
  minikafka fault wait 1
  minikafka fault remove all`

const faultAddHelp = `Have requests fail that match, and print the fault's number. Something must happen to them: an --error, an --effect or
a delay.

Effects:
  error-before-work  the default with --error: the error is answered, and what fails is not done
  error-after-work   the error is answered although all was done
  close-before-work  the connection is closed, and nothing is done
  lose-answer        all is done, and the connection is closed in place of the answer
  cut-answer         all is done, and the connection is closed in the middle of the answer
  observe            nothing: requests are counted

Errors have the names of Kafka's protocol, such as NOT_LEADER_OR_FOLLOWER, or numbers. They go to the partitions, topics or
groups that match; the others of the request are done and answered as ever.`

// faultVerbs are the subcommands of fault.
func faultVerbs() map[string]verb {
	return map[string]verb{
		"fault add":    {use: "add", short: "Have requests fail", long: faultAddHelp},
		"fault list":   {use: "list", short: "Show the faults that have not been removed, and how often they applied"},
		"fault remove": {use: "remove {NUMBER...|all}", short: "End faults, and the delays they have begun", least: 1, most: anyNumber},
		"fault wait": {
			use:   "wait NUMBER [TIMES]",
			short: "Wait until a fault has applied to so many requests, one by default",
			least: 1, most: 2,
		},
	}
}

func newFault(o *clientOptions) *cobra.Command {
	parent := &cobra.Command{
		Use: "fault", Short: "Make requests of clients fail on purpose", Long: faultHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for name, v := range faultVerbs() {
		req := request{Verb: name}
		cmd := &cobra.Command{Use: v.use, Short: v.short, Long: v.long}
		cmd.Args = func(_ *cobra.Command, args []string) error { return v.checkArgs(name, args) }
		if name == "fault add" {
			req.Fault = &minikafka.Fault{}
			faultFlags(cmd, req.Fault)
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			req.Args = args
			return ask(cmd, o, req)
		}
		parent.AddCommand(cmd)
	}
	return parent
}

func faultFlags(cmd *cobra.Command, f *minikafka.Fault) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.APIs, "api", nil, "`names` of requests, such as Produce or OffsetCommit (default: all)")
	flags.Int32SliceVar(&f.Brokers, "broker", nil, "`ids` of the brokers that are asked (default: all)")
	flags.StringVar(&f.ClientID, "client-id", "", "the client's client.id")
	flags.StringVar(&f.Topic, "topic", "", "the topic; it need not exist")
	flags.Int32SliceVar(&f.Partitions, "partition", nil, "`numbers` of the partitions (default: all)")
	flags.StringVar(&f.Group, "group", "", "the group")
	flags.StringVar(&f.TransactionalID, "transactional-id", "", "the transactional id")
	flags.StringVar(&f.Resource, "resource", "", "another name in the request: of a resource of configs, a feature, a member that leaves")
	flags.IntVar(&f.Skip, "skip", 0, "how many requests that match are let go first")
	flags.Var((*countFlag)(&f.Count), "count", `how many requests it is for, or "always" (default: 1)`)
	flags.Float64Var(&f.Probability, "probability", 0, "of each request, 0 to 1 (default: 1)")
	flags.Uint64Var(&f.Seed, "seed", 0, "what --probability is drawn from")
	flags.StringVar(&f.Error, "error", "", "the error that is answered, by its name or number")
	flags.BoolVar(&f.TopLevel, "top-level", false, "put the error into the field for the whole request, where there is one")
	flags.StringVar((*string)(&f.Effect), "effect", "", "what happens, see above")
	flags.Var((*delayFlag)(&f.DelayRequest), "delay-request", `how long the broker does nothing, such as 500ms, or "until-removed"`)
	flags.Var((*delayFlag)(&f.DelayAnswer), "delay-answer", `how long the answer is kept back, such as 500ms, or "until-removed"`)
	noDefaults(flags, "broker", "partition", "delay-request", "delay-answer")
}

// countFlag is a count, or always.
type countFlag int

func (c *countFlag) String() string {
	if *c == minikafka.Always {
		return "always"
	}
	return strconv.Itoa(int(*c))
}

func (*countFlag) Type() string { return "number" }

// Set takes a number of 1 or more.
func (c *countFlag) Set(s string) error {
	if s == "always" {
		*c = minikafka.Always
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fmt.Errorf(`it takes 1 or more, or "always"`)
	}
	*c = countFlag(n)
	return nil
}

// delayFlag is a duration, or until removed.
type delayFlag time.Duration

func (d *delayFlag) String() string {
	if time.Duration(*d) == minikafka.UntilRemoved {
		return "until-removed"
	}
	return time.Duration(*d).String()
}

func (*delayFlag) Type() string { return "duration" }

// Set takes what time.ParseDuration does.
func (d *delayFlag) Set(s string) error {
	if s == "until-removed" {
		*d = delayFlag(minikafka.UntilRemoved)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf(`it takes a duration such as 500ms, or "until-removed"`)
	}
	*d = delayFlag(v)
	return nil
}

// fault carries out the subcommands of fault.
func (e *executor) fault(c *minikafka.Cluster, req request) (string, any, error) {
	switch req.Verb {
	case "fault add":
		if req.Fault == nil {
			return "", nil, badRequest("fault add takes a fault")
		}
		s := c.Fault(*req.Fault).Status()
		return fmt.Sprintf("fault %d: %s", s.ID, s.Fault), s, nil
	case "fault remove":
		return e.removeFaults(c, req.Args)
	case "fault wait":
		return e.waitFault(c, req.Args)
	default:
		all := []minikafka.FaultStatus{}
		var lines []string
		for _, h := range c.Faults() {
			all = append(all, h.Status())
			lines = append(lines, h.Status().String())
		}
		if len(lines) == 0 {
			lines = []string{"there are no faults"}
		}
		return strings.Join(lines, "\n"), all, nil
	}
}

func (e *executor) removeFaults(c *minikafka.Cluster, args []string) (string, any, error) {
	var ended []*minikafka.FaultHandle
	if len(args) == 1 && args[0] == "all" {
		ended = c.Faults()
		args = nil
	}
	for _, arg := range args {
		h, err := findFault(c, arg)
		if err != nil {
			return "", nil, err
		}
		ended = append(ended, h)
	}
	all := []minikafka.FaultStatus{}
	for _, h := range ended {
		h.Remove()
		all = append(all, h.Status())
	}
	if len(ended) == 1 {
		return "one fault is removed", all, nil
	}
	return fmt.Sprintf("%d faults are removed", len(ended)), all, nil
}

func (e *executor) waitFault(c *minikafka.Cluster, args []string) (string, any, error) {
	h, err := findFault(c, args[0])
	if err != nil {
		return "", nil, err
	}
	times := 1
	if len(args) > 1 {
		if times, err = strconv.Atoi(args[1]); err != nil || times < 1 || times > math.MaxInt32 {
			return "", nil, badRequest("%q is not a number of requests", args[1])
		}
	}
	h.Wait(times)
	s := h.Status()
	return fmt.Sprintf("fault %d has applied to %d requests", s.ID, s.Hits), s, nil
}

func findFault(c *minikafka.Cluster, number string) (*minikafka.FaultHandle, error) {
	for _, h := range c.Faults() {
		if strconv.Itoa(h.ID()) == number {
			return h, nil
		}
	}
	return nil, badRequest("there is no fault %s: minikafka fault list shows them", number)
}
