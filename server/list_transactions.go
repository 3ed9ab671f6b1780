package server

import (
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// ListTransactions (66), versions 0-2: the transactional ids that this broker
// coordinates, by state and producer id; v1 by how long a transaction has been open,
// v2 by a pattern of the id.

func listTransactions(r *request, q *kmsg.ListTransactionsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ListTransactionsResponse)
	f, err := newTransactionFilter(q)
	if err != nil {
		resp.ErrorCode = errorCode(err)
		return resp, nil
	}
	resp.UnknownStateFilters = f.unknown
	for _, n := range r.broker.transactions.Led() {
		var found []*transactions.Transaction
		err := r.broker.transactions.Run(r.ctx, n, func(s *transactions.Shard) (coordinator.Outcome, error) {
			found = s.List(f.takes)
			return coordinator.Outcome{}, nil
		})
		switch {
		case errors.Is(err, kerr.NotCoordinator):
			continue // moved away meanwhile
		case err != nil:
			resp.ErrorCode, resp.TransactionStates = transactionCode(err), nil
			return resp, ended(r.ctx)
		}
		for _, t := range found {
			a := kmsg.NewListTransactionsResponseTransactionState()
			a.TransactionalID, a.ProducerID, a.TransactionState = t.ID, t.ProducerID, t.State.String()
			resp.TransactionStates = append(resp.TransactionStates, a)
		}
	}
	return resp, nil
}

type transactionFilter struct {
	producers []int64
	states    []transactions.State
	unknown   []string
	all       bool // of the states
	olderThan int64
	pattern   *regexp.Regexp
	now       int64
}

func newTransactionFilter(q *kmsg.ListTransactionsRequest) (*transactionFilter, error) {
	f := &transactionFilter{
		producers: q.ProducerIDFilters, olderThan: -1, now: time.Now().UnixMilli(), all: len(q.StateFilters) == 0,
	}
	if q.Version >= 1 {
		f.olderThan = q.DurationFilterMillis
	}
	for _, name := range q.StateFilters {
		if s, ok := transactions.ParseState(name); ok {
			f.states = append(f.states, s)
		} else {
			f.unknown = append(f.unknown, name)
		}
	}
	if p := q.TransactionalIDPattern; p != nil && *p != "" {
		var err error
		if f.pattern, err = regexp.Compile("^(?:" + *p + ")$"); err != nil {
			return nil, kerr.InvalidRegularExpression
		}
	}
	return f, nil
}

func (f *transactionFilter) takes(t *transactions.Transaction) bool {
	switch {
	case len(f.producers) > 0 && !slices.Contains(f.producers, t.ProducerID):
		return false
	case !f.all && !slices.Contains(f.states, t.State):
		return false
	case f.olderThan >= 0 && f.now-t.Started <= f.olderThan:
		return false
	}
	return f.pattern == nil || f.pattern.MatchString(t.ID)
}
