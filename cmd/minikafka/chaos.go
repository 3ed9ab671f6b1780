package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/minikafka/minikafka"
)

// chaosResult is what chaos answers.
type chaosResult struct {
	Verb  string   `json:"verb"`
	Seed  uint64   `json:"seed"`
	Steps []string `json:"steps"`
}

// chaos begins a time of chaos, or ends it early.
func (e *executor) chaos(c *minikafka.Cluster, req request) (string, any, error) {
	d, err := time.ParseDuration(req.Args[0])
	if err != nil {
		return "", nil, badRequest("%q is not a time such as 30s or 5m", req.Args[0])
	}
	seed := uint64(1)
	if len(req.Args) > 1 {
		if seed, err = strconv.ParseUint(req.Args[1], 10, 64); err != nil {
			return "", nil, badRequest("%q is not a seed: it takes a number", req.Args[1])
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if d == 0 {
		if e.run != nil {
			e.run.Stop()
		}
		return "there is no chaos", result{Verb: req.Verb}, nil
	}
	if e.run != nil {
		select {
		case <-e.run.Done():
		default:
			return "", nil, errors.New("there is chaos already: end it with chaos 0")
		}
	}
	e.run = c.Chaos(seed, minikafka.ChaosOptions{For: d})
	answer := chaosResult{Verb: req.Verb, Seed: seed, Steps: []string{}}
	for _, s := range e.run.Steps() {
		answer.Steps = append(answer.Steps, s.String())
	}
	return e.run.String(), answer, nil
}
