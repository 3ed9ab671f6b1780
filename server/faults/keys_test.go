package faults_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/internal/requests"
	"github.com/minikafka/minikafka/server/faults"
)

// topicID is that of the topic orders.
func topicID() [16]byte { return [16]byte{1, 2, 3} }

// sent is a request that names one of each, as a broker decodes it.
func sent(t *testing.T, key, version int16) kmsg.Request {
	t.Helper()
	q, err := requests.New(key, version, requests.Names{Topic: "orders", TopicID: topicID(), Group: "g", TransactionalID: "tx", Other: "r"})
	if err != nil {
		t.Fatalf("%s %d: %v", kmsg.Key(key).Name(), version, err)
	}
	return q
}

// broker answers without errors, and counts.
func broker(worked *int) *faults.Broker {
	return &faults.Broker{
		Work: func(q kmsg.Request) (kmsg.Response, error) {
			*worked++
			return q.ResponseKind(), nil
		},
		Topics: func(name string, id [16]byte) (string, [16]byte, bool) {
			if name == "orders" || id == topicID() {
				return "orders", topicID(), true
			}
			return name, id, false
		},
		Fetched: func(q *kmsg.FetchRequest) []kmsg.FetchRequestTopic { return q.Topics },
		Untold:  func(int32, []kmsg.FetchResponseTopic) {},
	}
}

// codes tells where the faults' error stands in an answer.
func codes(t *testing.T, r kmsg.Response) (whole, entries bool) {
	t.Helper()
	w, e, err := requests.Codes(r)
	if err != nil {
		t.Fatalf("%s %d: the answer is not well formed: %v", kmsg.Key(r.Key()).Name(), r.GetVersion(), err)
	}
	return slices.Contains(w, code), slices.Contains(e, code)
}

// TestEveryKey fails every request that a client can send, in every version, and
// looks for the error in the answer as the client reads it.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	for key := range int16(kmsg.MaxKey + 1) {
		q := kmsg.RequestForKey(key)
		if q == nil || requests.OfNodes(kmsg.Key(key)) {
			continue
		}
		for version := range q.MaxVersion() + 1 {
			for _, effect := range []faults.Effect{faults.ErrorBeforeWork, faults.ErrorAfterWork} {
				name := kmsg.Key(key).Name()
				worked := 0
				s := faults.NewSet(nil)
				i := s.Add(faults.Fault{Keys: []int16{key}, Effect: effect, Code: code})
				r, cut, err := s.Run(&faults.Request{Body: sent(t, key, version)}, broker(&worked))
				if err != nil || cut || r == nil {
					t.Errorf("%s %d: %v %v %v", name, version, r, cut, err)
					continue
				}
				if i.Hits() != 1 || s.Any() {
					t.Errorf("%s %d: %d hits", name, version, i.Hits())
				}
				if whole, entries := codes(t, r); !whole && !entries {
					// The answer to DescribeLogDirs 0-2 names directories, which this
					// broker has none of; see TestLogDirs.
					if kmsg.Key(key) != kmsg.DescribeLogDirs || version > 2 {
						t.Errorf("%s %d: no error: %+v", name, version, r)
					}
				}
				does := effect == faults.ErrorAfterWork || reads(kmsg.Key(key), version)
				if does != (worked == 1) {
					t.Errorf("%s %d, %s: the broker worked %d times", name, version, effect, worked)
				}
			}
		}
	}
}

// reads tells which requests are done in spite of an error before the work: they
// change nothing, and the rest of the answer is needed.
func reads(key kmsg.Key, version int16) bool {
	return key == kmsg.Fetch || key == kmsg.Metadata || key == kmsg.DescribeLogDirs && version < 3
}

func TestLogDirs(t *testing.T) {
	t.Parallel()
	s := faults.NewSet(nil)
	s.Add(faults.Fault{Topic: "orders", Effect: faults.ErrorBeforeWork, Code: kerr.KafkaStorageError.Code})
	worked := 0
	b := broker(&worked)
	b.Work = func(q kmsg.Request) (kmsg.Response, error) {
		r := q.ResponseKind().(*kmsg.DescribeLogDirsResponse)
		r.Dirs = []kmsg.DescribeLogDirsResponseDir{{Dir: "/d", Topics: []kmsg.DescribeLogDirsResponseDirTopic{{Topic: "orders"}}}}
		return r, nil
	}
	r, _, err := s.Run(&faults.Request{Body: sent(t, int16(kmsg.DescribeLogDirs), 2)}, b)
	if err != nil {
		t.Fatal(err)
	}
	d := r.(*kmsg.DescribeLogDirsResponse).Dirs[0]
	if d.ErrorCode != 56 || d.Dir != "/d" || len(d.Topics) > 0 {
		t.Errorf("%+v", d)
	}
}
