package main

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
)

// clientOptions are the flags that all verbs share.
type clientOptions struct {
	env     environment
	control string
	json    bool
}

// verb is a subcommand that is carried out by a running cluster.
type verb struct {
	use, short, long string
	least, most      int  // arguments; most may be anyNumber
	unclean          bool // it has that flag
}

// anyNumber of arguments is what some verbs take.
const anyNumber = math.MaxInt

// checkArgs tells how the verb is used when args are too few or too many.
func (v verb) checkArgs(name string, args []string) error {
	if v.least <= len(args) && len(args) <= v.most {
		return nil
	}
	_, takes, _ := strings.Cut(v.use, " ")
	return fmt.Errorf("%d arguments for %s: use it as minikafka %s", len(args), name, strings.TrimSpace(name+" "+takes))
}

const nodeHelp = `A node is the id of a broker, or "controller" for the active one (for restart: the
one that is down), or "controller:ID" where there are several.`

const resumeHelp = `A node is the id of a broker, or "controller" for the one that is paused, or
"controller:ID" where there are several.`

const diskHelp = `Make a broker's disk slow, full or failing; without faults, good again. Faults are

    slow-writes=TIME, slow-syncs=TIME, slow-reads=TIME    each takes longer, such as 50ms
    fail-write=N, fail-sync=N, fail-read=N                the N-th from now on fails
    full-after=BYTES                                      there is room for so many bytes of records

At the first error the broker answers KAFKA_STORAGE_ERROR and halts, as Kafka does when its last
log directory has failed.`

func verbs() map[string]verb {
	return map[string]verb{
		"status": {use: "status", short: "Show nodes, links and partitions"},
		"groups": {use: "groups [GROUP]", short: "Show the groups of consumers, or one: members, assignment, offsets", most: 1},
		"transactions": {
			use: "transactions [ID]", short: "Show transactional producers, or one: state, producer id and epoch, partitions", most: 1,
		},
		"stats":     {use: "stats [reset]", short: "Show how producers' batches have come, or begin to count anew", most: 1},
		"crash":     {use: "crash NODE", short: "End a node as the death of its process would", long: nodeHelp, least: 1, most: 1},
		"power-off": {use: "power-off NODE", short: "Crash a node and lose what it has not synced", long: nodeHelp, least: 1, most: 1},
		"shutdown":  {use: "shutdown NODE", short: "Shut a node down in order: leaderships move first", long: nodeHelp, least: 1, most: 1},
		"pause":     {use: "pause NODE", short: "Freeze a node as SIGSTOP would: connections stay open, nothing is answered", long: nodeHelp, least: 1, most: 1},
		"resume":    {use: "resume NODE", short: "Let a paused node go on", long: resumeHelp, least: 1, most: 1},
		"restart":   {use: "restart NODE", short: "Start a node again, with its address and its data", long: nodeHelp, least: 1, most: 1},
		"isolate":   {use: "isolate NODE", short: "Cut a node's links to all other nodes; clients still reach it", long: nodeHelp, least: 1, most: 1},
		"cut":       {use: "cut FROM TO", short: "Stop messages from one node to another, one way", long: nodeHelp, least: 2, most: 2},
		"delay": {
			use:   "delay FROM TO TIME [JITTER]",
			short: "Make messages from one node to another take longer, one way",
			long: "Make messages from one node to another take longer, one way, and a random time up to JITTER on top.\n" +
				"Times are such as 50ms or 2s; 0 ends it.\n\n" + nodeHelp,
			least: 3, most: 4,
		},
		"lose": {
			use:   "lose FROM TO SHARE",
			short: "Lose packets from one node to another, one way",
			long: "Lose a share (0 to 1) of the packets from one node to another, one way. As TCP sends them again, loss shows\n" +
				"as time, and now and then as a broken connection; 0 ends it.\n\n" + nodeHelp,
			least: 3, most: 3,
		},
		"disk": {
			use:   "disk BROKER [FAULT=VALUE]...",
			short: "Make a broker's disk slow, full or failing; without faults, good again",
			long:  diskHelp,
			least: 1, most: anyNumber,
		},
		"chaos": {
			use:   "chaos TIME [SEED]",
			short: "Cause faults at random for a time, and mend everything in the end",
			long: "Cause faults of brokers, controllers, links, disks and answers at random, for a time such as 1m, and mend\n" +
				"everything in the end. The schedule follows from the seed, 1 by default, and is printed at once. With a TIME\n" +
				"of 0 what is under way ends early.",
			least: 1, most: 2,
		},
		"heal": {use: "heal", short: "Mend all links"},
		"split": {
			use:   "split NODE[,NODE...] NODE[,NODE...]...",
			short: "Cut the links between groups of nodes",
			long:  "Cut the links between groups of nodes. Nodes in no group keep theirs.\n\n" + nodeHelp,
			least: 2, most: anyNumber,
		},
		"hold":    {use: "hold TOPIC/PARTITION", short: "Stop a partition's followers from copying", least: 1, most: 1},
		"release": {use: "release TOPIC/PARTITION", short: "Let a partition's followers copy again", least: 1, most: 1},
		"elect": {
			use:   "elect TOPIC/PARTITION",
			short: "Elect a partition's preferred leader",
			long:  "Elect a partition's preferred leader, or with --unclean any replica that runs, if there is no leader.",
			least: 1, most: 1,
			unclean: true,
		},
	}
}

func newVerbs(o *clientOptions) []*cobra.Command {
	var cmds []*cobra.Command
	for name, v := range verbs() {
		req := request{Verb: name}
		cmd := &cobra.Command{
			Use:   v.use,
			Short: v.short,
			Long:  v.long,
			Args:  func(_ *cobra.Command, args []string) error { return v.checkArgs(name, args) },
			RunE: func(cmd *cobra.Command, args []string) error {
				req.Args = args
				return ask(cmd, o, req)
			},
		}
		if v.unclean {
			cmd.Flags().BoolVar(&req.Unclean, "unclean", false, "elect a replica that is not in sync; records may be lost")
		}
		cmds = append(cmds, cmd)
	}
	return cmds
}

// ask has the running cluster carry out a request, and prints the answer.
func ask(cmd *cobra.Command, o *clientOptions, req request) error {
	path, err := findControl(o.env, o.control)
	if err != nil {
		return err
	}
	resp, err := call(path, req)
	if err != nil {
		return &failedError{err}
	}
	if resp.Error != "" {
		err := errors.New(resp.Error)
		if resp.Usage {
			return err
		}
		return &failedError{err}
	}
	text := resp.Text
	if o.json {
		text = string(resp.Result)
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), text); err != nil {
		return &failedError{err}
	}
	return nil
}
