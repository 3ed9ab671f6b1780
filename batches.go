package minikafka

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server"
)

// BatchReport tells how batches have come from producers, to all brokers since
// the cluster started or [Cluster.ResetBatches]: what linger.ms, batch.size and
// compression.type do. Its String is a table.
type BatchReport struct {
	// Producers are sorted by client id and producer id.
	Producers []ProducerBatches `json:"producers"`
	// Unlisted counts batches that came when the report was full: it holds 65,536
	// pairs of a producer and a partition.
	Unlisted int64 `json:"unlisted,omitempty"`
}

// BatchCounts are batches and what is in them, as they were sent.
type BatchCounts struct {
	Batches int64 `json:"batches"`
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	// LargestRecords and LargestBytes are those of one batch each, SmallestRecords
	// those of the batch with the fewest.
	LargestRecords  int64 `json:"largest_records"`
	LargestBytes    int64 `json:"largest_bytes"`
	SmallestRecords int64 `json:"smallest_records"`
	// Refused batches were answered with an error; Duplicates of an idempotent
	// producer had been stored before. Both are counted among Batches.
	Refused    int64 `json:"refused"`
	Duplicates int64 `json:"duplicates"`
	// Codecs counts the batches by none, gzip, snappy, lz4 and zstd.
	Codecs map[string]int64 `json:"codecs"`
}

// RecordsPerBatch is their mean, 0 without batches.
func (c BatchCounts) RecordsPerBatch() float64 {
	return float64(c.Records) / float64(max(c.Batches, 1))
}

// BytesPerBatch is their mean, 0 without batches.
func (c BatchCounts) BytesPerBatch() float64 { return float64(c.Bytes) / float64(max(c.Batches, 1)) }

// ProducerBatches is what one producer has sent.
type ProducerBatches struct {
	ClientID string `json:"client_id"`
	// ProducerID is -1 for producers without idempotence.
	ProducerID int64 `json:"producer_id"`
	BatchCounts
	// Requests counts Produce requests; each has at most one batch for a
	// partition.
	Requests int64 `json:"requests"`
	// First and Last are when the first and the last of them came, of the
	// bubble's time in virtual time.
	First      time.Time          `json:"first"`
	Last       time.Time          `json:"last"`
	Partitions []PartitionBatches `json:"partitions"` // by topic and partition
}

// RequestsPerSecond is the rate from the first request to the last, 0 for fewer
// than two.
func (p ProducerBatches) RequestsPerSecond() float64 {
	took := p.Last.Sub(p.First).Seconds()
	if p.Requests < 2 || took <= 0 {
		return 0
	}
	return float64(p.Requests-1) / took
}

// PartitionBatches is what one producer has sent to one partition.
type PartitionBatches struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	BatchCounts
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// ShortestBetween is the shortest time from one batch to the next.
	ShortestBetween time.Duration `json:"shortest_between_ns"`
}

// Between is the mean time from one batch to the next, 0 for fewer than two.
func (p PartitionBatches) Between() time.Duration {
	if p.Batches < 2 {
		return 0
	}
	return p.Last.Sub(p.First) / time.Duration(p.Batches-1)
}

// Batches tells how producers' batches have come, those that were refused
// included. A batch counts once it is about to be answered.
func (c *Cluster) Batches() BatchReport { return c.cluster.batches() }

// ResetBatches forgets what [Cluster.Batches] has counted.
func (c *Cluster) ResetBatches() { c.cluster.batching.Reset() }

// Client adds up what all producers with a client id have sent.
func (r BatchReport) Client(id string) ProducerBatches {
	sum := ProducerBatches{ClientID: id, ProducerID: -1}
	for _, p := range r.Producers {
		if p.ClientID != id {
			continue
		}
		if sum.Requests == 0 || p.First.Before(sum.First) {
			sum.First = p.First
		}
		if p.Last.After(sum.Last) {
			sum.Last = p.Last
		}
		if sum.Requests == 0 {
			sum.ProducerID = p.ProducerID
		}
		sum.Requests += p.Requests
		sum.add(p.BatchCounts)
		sum.Partitions = append(sum.Partitions, p.Partitions...)
	}
	return sum
}

func (c *cluster) batches() BatchReport {
	producers, unlisted := c.batching.Producers()
	r := BatchReport{Producers: []ProducerBatches{}, Unlisted: unlisted}
	for _, p := range producers {
		out := ProducerBatches{
			ClientID: p.ClientID, ProducerID: p.ProducerID, Requests: p.Requests, First: p.First, Last: p.Last,
		}
		for topic, parts := range p.Partitions {
			for n, part := range parts {
				counts := batchCounts(part)
				out.add(counts)
				out.Partitions = append(out.Partitions, PartitionBatches{
					Topic: topic, Partition: n, BatchCounts: counts,
					First: part.First, Last: part.Last, ShortestBetween: part.ShortestBetween,
				})
			}
		}
		slices.SortFunc(out.Partitions, func(a, b PartitionBatches) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		r.Producers = append(r.Producers, out)
	}
	slices.SortFunc(r.Producers, func(a, b ProducerBatches) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.ProducerID, b.ProducerID))
	})
	return r
}

func batchCounts(p *server.PartitionBatching) BatchCounts {
	c := BatchCounts{
		Batches: p.Batches, Records: p.Records, Bytes: p.Bytes,
		LargestRecords: p.LargestRecords, LargestBytes: p.LargestBytes, SmallestRecords: p.SmallestRecords,
		Refused: p.Refused, Duplicates: p.Duplicates, Codecs: map[string]int64{},
	}
	for codec, n := range p.Codecs {
		if n > 0 {
			c.Codecs[codecName(log.Codec(codec))] = n
		}
	}
	return c
}

// codecName is Kafka's name of a codec.
func codecName(c log.Codec) string {
	switch c {
	case log.CodecNone:
		return "none"
	case log.CodecGzip:
		return "gzip"
	case log.CodecSnappy:
		return "snappy"
	case log.CodecLz4:
		return "lz4"
	case log.CodecZstd:
		return "zstd"
	}
	return fmt.Sprint(int(c))
}

func (c *BatchCounts) add(o BatchCounts) {
	if c.Batches == 0 || (o.Batches > 0 && o.SmallestRecords < c.SmallestRecords) {
		c.SmallestRecords = o.SmallestRecords
	}
	c.Batches += o.Batches
	c.Records += o.Records
	c.Bytes += o.Bytes
	c.LargestRecords, c.LargestBytes = max(c.LargestRecords, o.LargestRecords), max(c.LargestBytes, o.LargestBytes)
	c.Refused += o.Refused
	c.Duplicates += o.Duplicates
	if c.Codecs == nil {
		c.Codecs = map[string]int64{}
	}
	for name, n := range o.Codecs {
		c.Codecs[name] += n
	}
}

// String is a table, with a line for each producer and one for each of its
// partitions.
func (r BatchReport) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PRODUCER\tREQUESTS\tPER SECOND\tBATCHES\tRECORDS\tPER BATCH\tBYTES PER BATCH\tBETWEEN\tCODECS\tREFUSED\tDUPLICATES")
	line := func(name, requests, rate, between string, c BatchCounts) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%.1f (%d-%d)\t%.0f\t%s\t%s\t%d\t%d\n", name, requests, rate, c.Batches, c.Records,
			c.RecordsPerBatch(), c.SmallestRecords, c.LargestRecords, c.BytesPerBatch(), between, c.codecs(), c.Refused, c.Duplicates)
	}
	for _, p := range r.Producers {
		name := p.ClientID
		if p.ProducerID >= 0 {
			name += fmt.Sprintf(" (id %d)", p.ProducerID)
		}
		line(name, fmt.Sprint(p.Requests), fmt.Sprintf("%.1f", p.RequestsPerSecond()), "", p.BatchCounts)
		for _, part := range p.Partitions {
			line(fmt.Sprintf("  %s/%d", part.Topic, part.Partition), "", "", part.Between().Round(time.Microsecond).String(), part.BatchCounts)
		}
	}
	_ = w.Flush() // a strings.Builder takes all
	if r.Unlisted > 0 {
		fmt.Fprintf(&b, "%d batches of more producers are not listed\n", r.Unlisted)
	}
	return b.String()
}

// codecs lists the codecs with their batches, or one alone.
func (c BatchCounts) codecs() string {
	var list []string
	for codec := log.CodecNone; codec <= log.CodecZstd; codec++ {
		name := codecName(codec)
		switch n := c.Codecs[name]; {
		case n == c.Batches && n > 0:
			return name
		case n > 0:
			list = append(list, fmt.Sprintf("%s %d", name, n))
		}
	}
	return strings.Join(list, ", ")
}
