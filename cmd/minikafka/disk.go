package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/minikafka/minikafka"
)

// disk makes a broker's disk bad, or good again.
func (e *executor) disk(c *minikafka.Cluster, req request) (string, any, error) {
	n, err := findNode(c, req.Args[0], isActive)
	if err != nil {
		return "", nil, err
	}
	b, ok := n.(*minikafka.Broker)
	if !ok {
		return "", nil, badRequest("disk takes a broker")
	}
	var d minikafka.Disk
	for _, arg := range req.Args[1:] {
		if err := setDisk(&d, arg); err != nil {
			return "", nil, err
		}
	}
	b.Disk(d)
	text := "the disk of " + b.String() + " is good"
	if wrong := d.String(); wrong != "" {
		text = "the disk of " + b.String() + ": " + wrong
	}
	return text, result{Verb: req.Verb, Nodes: []string{b.String()}}, nil
}

// setDisk reads FAULT=VALUE.
func setDisk(d *minikafka.Disk, arg string) error {
	name, value, _ := strings.Cut(arg, "=")
	times := map[string]*time.Duration{"slow-writes": &d.SlowWrites, "slow-syncs": &d.SlowSyncs, "slow-reads": &d.SlowReads}
	counts := map[string]*int{"fail-write": &d.FailWrite, "fail-sync": &d.FailSync, "fail-read": &d.FailRead}
	var err error
	switch {
	case times[name] != nil:
		*times[name], err = time.ParseDuration(value)
	case counts[name] != nil:
		*counts[name], err = strconv.Atoi(value)
	case name == "full-after":
		d.FullAfter, err = strconv.ParseInt(value, 10, 64)
	default:
		return badRequest("%q is no fault of a disk: see minikafka help disk", arg)
	}
	if err != nil {
		return badRequest("%q: %s takes no %q", arg, name, value)
	}
	return nil
}
