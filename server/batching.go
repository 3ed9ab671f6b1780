package server

import (
	"sync"
	"time"

	"github.com/minikafka/minikafka/log"
)

// Batching counts how producers' batches arrive at the brokers of a cluster, so
// that the effect of linger.ms and batch.size can be seen. It is an instrument of
// tests: it outlives brokers.
type Batching struct {
	mu        sync.Mutex // guards what follows
	producers map[batchProducer]*ProducerBatching
	kept      int
	unlisted  int64
}

// batchingKept bounds how many pairs of a producer and a partition are told
// apart.
const batchingKept = 1 << 16

type batchProducer struct {
	clientID string
	id       int64
}

// ProducerBatching is what one producer has sent.
type ProducerBatching struct {
	ClientID string
	// ProducerID is that of its batches, -1 without idempotence.
	ProducerID int64
	// Requests counts its Produce requests with a batch for a partition that
	// exists; First and Last are when the first and the last of them came.
	Requests    int64
	First, Last time.Time
	Partitions  map[string]map[int32]*PartitionBatching
}

// PartitionBatching is what one producer has sent to one partition. Sizes are
// those of batches as they were sent.
type PartitionBatching struct {
	Batches, Records, Bytes      int64
	LargestRecords, LargestBytes int64 // of one batch
	SmallestRecords              int64
	Refused, Duplicates          int64 // of Batches
	First, Last                  time.Time
	Codecs                       [log.CodecZstd + 1]int64 // batches by codec
	ShortestBetween              time.Duration            // from one batch to the next
}

// NewBatching begins to count.
func NewBatching() *Batching { return &Batching{producers: map[batchProducer]*ProducerBatching{}} }

// note counts a request that has been dealt with.
func (s *Batching) note(p *producing) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var counted *ProducerBatching
	for i := range p.parts {
		part := &p.parts[i]
		if part.framing != nil || part.settings == nil || part.superseded {
			continue // no batch, or for no partition
		}
		producer := s.producer(p.r.clientID, part.batch.ProducerID)
		to := s.partition(producer, part.topic, part.partition)
		if to == nil {
			s.unlisted++
			continue
		}
		if counted != producer {
			counted = producer
			producer.Requests++
			if producer.First.IsZero() {
				producer.First = p.arrived
			}
			producer.Last = later(producer.Last, p.arrived)
		}
		to.add(part, p.arrived)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// producer finds the producer, or adds it. Called with mu.
func (s *Batching) producer(clientID string, id int64) *ProducerBatching {
	key := batchProducer{clientID, id}
	p := s.producers[key]
	if p == nil {
		p = &ProducerBatching{ClientID: clientID, ProducerID: id, Partitions: map[string]map[int32]*PartitionBatching{}}
		if s.kept < batchingKept {
			s.producers[key] = p
		}
	}
	return p
}

// partition finds what the producer has sent to a partition, or adds it; nil when
// there is no room. Called with mu.
func (s *Batching) partition(p *ProducerBatching, topic string, partition int32) *PartitionBatching {
	to := p.Partitions[topic][partition]
	if to != nil {
		return to
	}
	if s.kept >= batchingKept {
		return nil
	}
	s.kept++
	if p.Partitions[topic] == nil {
		p.Partitions[topic] = map[int32]*PartitionBatching{}
	}
	to = &PartitionBatching{}
	p.Partitions[topic][partition] = to
	return to
}

func (t *PartitionBatching) add(part *producePart, arrived time.Time) {
	records := int64(part.batch.NumRecords)
	if t.Batches == 0 {
		t.First, t.SmallestRecords = arrived, records
	} else if between := arrived.Sub(t.Last); between >= 0 {
		if t.Batches == 1 || between < t.ShortestBetween {
			t.ShortestBetween = between
		}
	}
	t.Last = later(t.Last, arrived)
	t.Batches++
	t.Records += records
	t.Bytes += part.sentBytes
	t.SmallestRecords = min(t.SmallestRecords, records)
	t.LargestRecords, t.LargestBytes = max(t.LargestRecords, records), max(t.LargestBytes, part.sentBytes)
	if int(part.sentCodec) < len(t.Codecs) {
		t.Codecs[part.sentCodec]++
	}
	switch {
	case part.err != nil:
		t.Refused++
	case part.appended.Duplicate:
		t.Duplicates++
	}
}

// Producers are the counts so far, and how many batches came for which there was
// no room.
func (s *Batching) Producers() (list []ProducerBatching, unlisted int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.producers {
		c := *p
		c.Partitions = make(map[string]map[int32]*PartitionBatching, len(p.Partitions))
		for topic, parts := range p.Partitions {
			c.Partitions[topic] = make(map[int32]*PartitionBatching, len(parts))
			for n, part := range parts {
				copied := *part
				c.Partitions[topic][n] = &copied
			}
		}
		list = append(list, c)
	}
	return list, s.unlisted
}

// Reset forgets what was counted.
func (s *Batching) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.producers, s.kept, s.unlisted = map[batchProducer]*ProducerBatching{}, 0, 0
}
