package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/minikafka/minikafka"
)

func (e *executor) split(c *minikafka.Cluster, req request) (string, any, error) {
	var groups [][]minikafka.Node
	var names []string
	for _, arg := range req.Args {
		var group []minikafka.Node
		for name := range strings.SplitSeq(arg, ",") {
			n, err := findNode(c, name, isActive)
			if err != nil {
				return "", nil, err
			}
			group = append(group, n)
			names = append(names, n.String())
		}
		groups = append(groups, group)
	}
	c.Split(groups...)
	return "split: " + strings.Join(req.Args, " | "), result{Verb: req.Verb, Nodes: names}, nil
}

// onLink carries out what is done to a link, one way.
func (e *executor) onLink(c *minikafka.Cluster, req request) (string, any, error) {
	from, err := findNode(c, req.Args[0], isActive)
	if err != nil {
		return "", nil, err
	}
	to, err := findNode(c, req.Args[1], isActive)
	if err != nil {
		return "", nil, err
	}
	var text string
	switch req.Verb {
	case "cut":
		c.Cut(from, to)
		text = fmt.Sprintf("no message from %v reaches %v", from, to)
	case "delay":
		times, err := durations(req.Args[2:])
		if err != nil {
			return "", nil, err
		}
		c.Delay(from, to, times[0], times[1])
		text = fmt.Sprintf("messages from %v to %v take %v longer, and up to %v on top", from, to, times[0], times[1])
	case "lose":
		share, err := strconv.ParseFloat(req.Args[2], 64)
		if err != nil {
			return "", nil, badRequest("%q is not a share from 0 to 1", req.Args[2])
		}
		c.Lose(from, to, share)
		text = fmt.Sprintf("of the packets from %v to %v a share of %v is lost", from, to, share)
	}
	return text, result{Verb: req.Verb, Nodes: []string{from.String(), to.String()}}, nil
}

// durations are two times, 0 where there are fewer arguments.
func durations(args []string) (times [2]time.Duration, err error) {
	for i, arg := range args {
		if times[i], err = time.ParseDuration(arg); err != nil {
			return times, badRequest("%q is not a time such as 50ms or 2s", arg)
		}
	}
	return times, nil
}
