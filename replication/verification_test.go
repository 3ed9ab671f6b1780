package replication_test

import (
	"errors"
	"testing"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// A marker that comes between the coordinator's word and the batch makes the word
// void: the batch would open a transaction that nobody ends (KIP-890). A marker that is
// there already is known, and one that comes when its epoch is in use is refused
// (KIP-1228).
func TestMarkersAndVerifications(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, 1)
	r := c.replica(0)
	write := log.BatchOptions{ProducerID: 7, ProducerEpoch: 1, Transactional: true}
	batch := c.batch(write, "in a transaction")
	if _, err := r.AppendVerified(batch, 1, nil); !errors.Is(err, log.ErrInvalidTxnState) {
		t.Errorf("a batch that nobody vouched for: %v", err)
	}
	before, err := r.Verify(batch, true)
	if err != nil || before == nil {
		t.Fatal(before, err)
	}
	raw, err := log.BuildBatch([]log.Record{log.MarkerRecord(0, true)},
		log.BatchOptions{ProducerID: 7, ProducerEpoch: 1, BaseSequence: -1, Transactional: true, Control: true})
	if err != nil {
		t.Fatal(err)
	}
	marker, _, err := log.ParseBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Append(marker, 1)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Stored()
	if known, err := r.MarkerWritten(7, 1); !known || err != nil {
		t.Errorf("a marker that is there: %v, %v", known, err)
	}
	if _, err := r.AppendVerified(batch, 1, before); !errors.Is(err, log.ErrInvalidTxnState) {
		t.Errorf("a batch with a void verification: %v", err)
	}
	after, err := r.Verify(batch, true)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = r.AppendVerified(batch, 1, after); err != nil {
		t.Fatal(err)
	}
	<-p.Stored()
	if _, err := r.MarkerWritten(7, 1); !errors.Is(err, log.ErrInvalidProducerEpoch) {
		t.Errorf("a marker of an epoch that is in use: %v", err)
	}
}

// Who asked the coordinator while the replica led, or led in an earlier epoch, is to
// ask the leader: no marker has made the coordinator's word void.
func TestVerificationOfAnEarlierLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	r := c.replica(0)
	batch := c.batch(log.BatchOptions{ProducerID: 7, ProducerEpoch: 1, Transactional: true}, "in a transaction")
	v, err := r.Verify(batch, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verified(7, v); err != nil {
		t.Errorf("while it leads: %v", err)
	}
	check := func(what string) {
		t.Helper()
		if err := r.Verified(7, v); !errors.Is(err, replication.ErrNotLeader) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := r.AppendVerified(batch, 1, v); !errors.Is(err, replication.ErrNotLeader) {
			t.Errorf("%s, a batch: %v", what, err)
		}
	}
	c.elect(1, 0, 1)
	c.wait("the other to lead", func() bool { return c.replica(1).State().Leading })
	check("deposed")
	c.elect(0, 0, 1)
	c.wait("it to lead again", func() bool { return r.State().Leading })
	check("leading again")
}
