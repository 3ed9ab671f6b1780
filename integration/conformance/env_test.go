package conformance_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance"
	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// env is what one row works with: the cluster, its three brokers, and the checks, which end the row at the first one that
// fails. A, B and C are the brokers in the order of their ids; situations break C first.
type env struct {
	t       *testing.T
	id      string
	target  conformance.Target
	cluster conformance.Cluster
	stage   *stage
	offered map[int16]bool // the API keys that the cluster offers
	A, B, C int32

	failure string       // what failed first
	slip    string       // the first detail that was not as it should be
	conns   []*wire.Conn // closed when the row ends
}

// fatalf ends the row: what was seen differs from what Apache Kafka does.
func (e *env) fatalf(format string, args ...any) {
	e.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// check ends the row unless got is what is wanted.
func check[T comparable](e *env, what string, got, want T) {
	if got != want {
		e.fatalf("%s: got %v, want %v", what, got, want)
	}
}

// detail notes that got is not what is wanted, where clients do not look: the row goes on.
func (e *env) detail(what string, got, want int64) {
	if got != want && e.slip == "" {
		e.slip = fmt.Sprintf("%s: got %v, want %v", what, got, want)
	}
}

// checkSet ends the row unless got holds the ids that are wanted, in any order.
func checkSet(e *env, what string, got []int32, want ...int32) {
	if !sameSet(got, want) {
		e.fatalf("%s: got %v, want %v", what, e.names(got), e.names(want))
	}
}

func sameSet(a, b []int32) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// names turns broker ids into the letters that the rows use.
func (e *env) names(ids []int32) []string {
	out := []string{}
	for _, id := range slices.Sorted(slices.Values(ids)) {
		out = append(out, e.name(id))
	}
	return out
}

func (e *env) name(id int32) string {
	switch id {
	case e.A:
		return "A"
	case e.B:
		return "B"
	case e.C:
		return "C"
	case -1:
		return "nobody"
	}
	return fmt.Sprint(id)
}

// code is a Kafka error code that prints its name.
type code int16

func (c code) String() string {
	if c == none {
		return "NONE"
	}
	if c == notLeaderOrFollower { // kerr has the name that it had before KIP-392.
		return "NOT_LEADER_OR_FOLLOWER(6)"
	}
	if err := kerr.TypedErrorForCode(int16(c)); err != nil {
		return fmt.Sprintf("%s(%d)", err.Message, err.Code)
	}
	return fmt.Sprintf("code %d", int16(c))
}

// The error codes that rows name, by their number on the wire.
const (
	none                       code = 0
	unknownServerError         code = -1
	offsetOutOfRange           code = 1
	corruptMessage             code = 2
	unknownTopicOrPartition    code = 3
	leaderNotAvailable         code = 5
	notLeaderOrFollower        code = 6
	requestTimedOut            code = 7
	messageTooLarge            code = 10
	offsetMetadataTooLarge     code = 12
	coordinatorLoadInProgress  code = 14
	coordinatorNotAvailable    code = 15
	notCoordinator             code = 16
	invalidTopic               code = 17
	notEnoughReplicas          code = 19
	invalidRequiredAcks        code = 21
	illegalGeneration          code = 22
	inconsistentGroupProtocol  code = 23
	unknownMemberID            code = 25
	invalidSessionTimeout      code = 26
	rebalanceInProgress        code = 27
	invalidTimestamp           code = 32
	unsupportedVersion         code = 35
	topicAlreadyExists         code = 36
	invalidPartitions          code = 37
	invalidReplicationFactor   code = 38
	invalidConfig              code = 40
	invalidRequest             code = 42
	policyViolation            code = 44
	outOfOrderSequenceNumber   code = 45
	invalidProducerEpoch       code = 47
	invalidTxnState            code = 48
	invalidProducerIDMapping   code = 49
	invalidTransactionTimeout  code = 50
	concurrentTransactions     code = 51
	coordinatorFenced          code = 52
	transactionalIDDenied      code = 53
	operationNotAttempted      code = 55
	kafkaStorageError          code = 56
	nonEmptyGroup              code = 68
	groupIDNotFound            code = 69
	fetchSessionIDNotFound     code = 70
	invalidFetchSessionEpoch   code = 71
	fencedLeaderEpoch          code = 74
	unknownLeaderEpoch         code = 75
	unsupportedCompressionType code = 76
	offsetNotAvailable         code = 78
	memberIDRequired           code = 79
	preferredLeaderNotAvail    code = 80
	fencedInstanceID           code = 82
	eligibleLeadersNotAvail    code = 83
	electionNotNeeded          code = 84
	noReassignmentInProgress   code = 85
	groupSubscribedToTopic     code = 86
	invalidRecord              code = 87
	unstableOffsetCommit       code = 88
	producerFenced             code = 90
	unknownTopicID             code = 100
	transactionalIDNotFound    code = 105
	fencedMemberEpoch          code = 110
	unreleasedInstanceID       code = 111
	unsupportedAssignor        code = 112
	staleMemberEpoch           code = 113
	transactionAbortable       code = 120
	invalidRecordState         code = 121
	shareSessionNotFound       code = 122
	invalidShareSessionEpoch   code = 123
	fencedStateEpoch           code = 124
)

// wait looks at cond until it returns nil. At the deadline the row ends with what cond said was missing.
func (e *env) wait(what string, cond func() error) {
	e.waitFor(what, e.target.Timing.Patience, cond)
}

// waitSession is wait for what may take until a silent broker is fenced.
func (e *env) waitSession(what string, cond func() error) {
	e.waitFor(what, 2*e.target.Timing.Session+e.target.Timing.Patience, cond)
}

func (e *env) waitFor(what string, limit time.Duration, cond func() error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(e.target.Timing.Poll)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			e.fatalf("waited for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// pause lets time pass.
func (e *env) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// is returns nil when got is what is wanted, for use in wait.
func is[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// dial opens a connection to a broker.
func (e *env) dial(broker int32) (*wire.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.target.Timing.Patience)
	defer cancel()
	conn, err := wire.Dial(ctx, e.cluster.Addrs()[broker])
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(e.target.Timing.Patience)
	return conn, nil
}

// conn opens a connection to a broker, which must succeed; it is closed when the row ends.
func (e *env) conn(broker int32) *wire.Conn {
	conn, err := e.dial(broker)
	if err != nil {
		e.fatalf("connecting to broker %s: %v", e.name(broker), err)
	}
	e.conns = append(e.conns, conn)
	return conn
}

// try sends a request to a broker on a connection of its own.
func (e *env) try(broker int32, req kmsg.Request) (kmsg.Response, error) {
	conn, err := e.dial(broker)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Request(req)
}

// ask is try that must be answered.
func ask[R kmsg.Response](e *env, broker int32, req kmsg.Request) R {
	resp, err := e.try(broker, req)
	if err != nil {
		e.fatalf("broker %s: %v", e.name(broker), err)
	}
	return resp.(R)
}

// tryAny sends a request to the first broker that answers. Broker C comes last: it may be paused.
func (e *env) tryAny(req kmsg.Request) (resp kmsg.Response, err error) {
	for _, broker := range []int32{e.A, e.B, e.C} {
		if resp, err = e.try(broker, req); err == nil {
			return resp, nil
		}
	}
	return nil, err
}

// askAny is tryAny that must be answered.
func askAny[R kmsg.Response](e *env, req kmsg.Request) R {
	resp, err := e.tryAny(req)
	if err != nil {
		e.fatalf("no broker answers: %v", err)
	}
	return resp.(R)
}

// request returns req with its version set.
func request[R kmsg.Request](req R, version int16) R {
	req.SetVersion(version)
	return req
}

// later is a request whose answer is waited for elsewhere.
type later struct {
	answered chan struct{}
	resp     kmsg.Response
	err      error
}

// send writes a request on conn and returns at once. The connection is the request's until it is answered.
func (e *env) send(conn *wire.Conn, req kmsg.Request) *later {
	if err := conn.Send(req); err != nil {
		e.fatalf("sending %s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return e.receive(conn, req)
}

// receive waits for the answer to a request that has been written.
func (e *env) receive(conn *wire.Conn, req kmsg.Request) *later {
	l := &later{answered: make(chan struct{})}
	conn.SetTimeout(2*e.target.Timing.Session + 2*e.target.Timing.Patience)
	go func() {
		defer close(l.answered)
		l.resp, l.err = conn.Receive(req)
	}()
	return l
}

// open says that the answer has not come yet.
func (l *later) open() bool {
	select {
	case <-l.answered:
		return false
	default:
		return true
	}
}

// answer waits for the answer.
func answer[R kmsg.Response](e *env, l *later) R {
	<-l.answered // The connection's deadline bounds this.
	if l.err != nil {
		e.fatalf("%v", l.err)
	}
	return l.resp.(R)
}

// closed ends the row unless the broker closes the connection without a word.
func (e *env) closed(what string, conn *wire.Conn) {
	if err := conn.WaitClosed(); err != nil {
		e.fatalf("%s: %v", what, err)
	}
}
