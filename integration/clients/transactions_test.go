package clients_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// A copier is a program that does what scenario.Copier says: copy BOOTSTRAP FROM TO COUNT
// GROUP ID, where COUNT is how many records each of the two partitions has. Each line
// tells it what to do (commit N, abort N, open N, end), and it prints what came of it:
// done, fenced or failed.
type copier struct{ *process }

// transactions has the client copy through crashes, and read the copies.
func transactions(t *testing.T, client client, o scenario.CopyOptions) {
	t.Parallel()
	var copiers []*copier
	c := scenario.Copies(t, o, func(c *minikafka.Cluster) scenario.Copier {
		p := &copier{client.start(t, "copy", strings.Join(c.Addrs(), ","), scenario.CopyFrom, scenario.CopyTo,
			strconv.Itoa(scenario.CopyCount), scenario.CopyGroup, scenario.CopyID)}
		copiers = append(copiers, p)
		return p
	})
	scenario.CheckCopies(t, "the client", client.committed(t, c))
	scenario.CheckCopies(t, "franz-go", franzCommitted(t, c))
	copiers[len(copiers)-1].finish()
}

func (p *copier) do(line string) error {
	p.write(line)
	var e event
	if !p.next("the end of "+line, &e) {
		p.t.Fatalf("the program ended instead of: %s", line)
	}
	switch e.Event {
	case "done":
		return nil
	case "fenced":
		return fmt.Errorf("%w: %s", scenario.ErrFenced, e.What)
	}
	return errors.New(e.What)
}

// Copy is scenario.Copier's.
func (p *copier) Copy(n int, commit bool) error {
	if commit {
		return p.do(fmt.Sprintf("commit %d", n))
	}
	return p.do(fmt.Sprintf("abort %d", n))
}

// Open is scenario.Copier's.
func (p *copier) Open(n int) error { return p.do(fmt.Sprintf("open %d", n)) }

// End is scenario.Copier's.
func (p *copier) End() error { return p.do("end") }

// copied is a record as "committed BOOTSTRAP TOPIC END" prints it, which reads the two partitions with read_committed
// until the value END comes in each.
type copied struct {
	Partition int32  `json:"partition"`
	Value     string `json:"value"`
}

func (c client) committed(t *testing.T, cluster *minikafka.Cluster) map[int32][]string {
	t.Helper()
	p := c.start(t, "committed", strings.Join(cluster.Addrs(), ","), scenario.CopyTo, scenario.CopyEnd)
	values := map[int32][]string{}
	var r copied
	for p.next("the next record", &r) {
		values[r.Partition] = append(values[r.Partition], r.Value)
		r = copied{}
	}
	p.finish()
	return values
}

// franzCommitted reads the copies with franz-go.
func franzCommitted(t *testing.T, c *minikafka.Cluster) map[int32][]string {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ConsumeTopics(scenario.CopyTo),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("waited for all copies"))
	defer cancel()
	values := map[int32][]string{}
	for ends := 0; ends < scenario.CopyPartitions; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %v: %v: %v", values, err, context.Cause(ctx))
		}
		for _, r := range fetches.Records() {
			values[r.Partition] = append(values[r.Partition], string(r.Value))
			if string(r.Value) == scenario.CopyEnd {
				ends++
			}
		}
	}
	return values
}
