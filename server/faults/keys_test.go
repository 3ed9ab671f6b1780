package faults_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/faults"
)

// ofNodes tells which keys are of requests between nodes, which no client sends.
func ofNodes(key kmsg.Key) bool {
	switch key {
	case kmsg.LeaderAndISR, kmsg.StopReplica, kmsg.UpdateMetadata, kmsg.ControlledShutdown, kmsg.Vote, kmsg.BeginQuorumEpoch,
		kmsg.EndQuorumEpoch, kmsg.AlterPartition, kmsg.Envelope, kmsg.FetchSnapshot, kmsg.BrokerRegistration, kmsg.BrokerHeartbeat,
		kmsg.AllocateProducerIDs, kmsg.ControllerRegistration, kmsg.AssignReplicasToDirs, kmsg.UpdateRaftVoter,
		kmsg.InitializeShareGroupState, kmsg.ReadShareGroupState, kmsg.WriteShareGroupState, kmsg.DeleteShareGroupState,
		kmsg.ReadShareGroupStateSummary:
		return true
	default:
		return false
	}
}

// topicID is that of the topic orders.
func topicID() [16]byte { return [16]byte{1, 2, 3} }

// fill fills a request with what a client may name: one of each.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		text := map[string]string{
			"Topic": "orders", "TopicNames": "orders", "Group": "g", "Groups": "g", "GroupID": "g", "GroupIDs": "g",
			"TransactionalID": "tx", "TransactionalIDs": "tx", "CoordinatorKey": "g", "CoordinatorKeys": "g",
		}[name]
		if text == "" {
			text = "r"
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString(text)
		case reflect.Pointer:
			if f.Type().Elem().Kind() == reflect.String && name != "TransactionID" {
				f.Set(reflect.ValueOf(&text))
			}
		case reflect.Array:
			if name == "TopicID" {
				f.Set(reflect.ValueOf(topicID()))
			}
		case reflect.Slice:
			if f.Type().Elem().Kind() == reflect.Uint8 || name == "ForgottenTopics" || name == "ReplicaAssignment" {
				continue
			}
			one := reflect.New(f.Type().Elem()).Elem()
			switch one.Kind() {
			case reflect.Struct:
				if d, ok := one.Addr().Interface().(interface{ Default() }); ok {
					d.Default()
				}
				fill(one)
			case reflect.String:
				one.SetString(text)
			default:
			}
			f.Set(reflect.Append(f, one))
		default:
		}
		if name == "ResourceType" {
			f.SetInt(2) // a topic's
		}
	}
}

// sent is a filled request as a broker decodes it.
func sent(t *testing.T, key, version int16) kmsg.Request {
	t.Helper()
	q := kmsg.RequestForKey(key)
	q.SetVersion(version)
	fill(reflect.ValueOf(q).Elem())
	if p, is := q.(*kmsg.ProduceRequest); is {
		p.Acks = -1
	}
	got := kmsg.RequestForKey(key)
	got.SetVersion(version)
	if err := got.ReadFrom(q.AppendTo(nil)); err != nil {
		t.Fatalf("%s %d: %v", kmsg.Key(key).Name(), version, err)
	}
	return got
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

// codes are the error codes of an answer, once written and read again, by the
// depth of lists that they stand at.
func codes(t *testing.T, r kmsg.Response) (top []int16, entries []int16) {
	t.Helper()
	again := kmsg.ResponseForKey(r.Key())
	again.SetVersion(r.GetVersion())
	if err := again.ReadFrom(r.AppendTo(nil)); err != nil {
		t.Fatalf("%s %d: the answer is not well formed: %v", kmsg.Key(r.Key()).Name(), r.GetVersion(), err)
	}
	var look func(v reflect.Value, depth int)
	look = func(v reflect.Value, depth int) {
		for i := range v.NumField() {
			switch f := v.Field(i); {
			case v.Type().Field(i).Name == "ErrorCode" && depth == 0:
				top = append(top, int16(f.Int()))
			case v.Type().Field(i).Name == "ErrorCode":
				entries = append(entries, int16(f.Int()))
			case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
				for j := range f.Len() {
					look(f.Index(j), depth+1)
				}
			}
		}
	}
	look(reflect.ValueOf(again).Elem(), 0)
	return top, entries
}

// failed tells whether the faults' error is among the codes.
func failed(codes []int16) bool { return slices.Contains(codes, code) }

// TestEveryKey fails every request that a client can send, in every version, and
// looks for the error in the answer as the client reads it.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	for key := range int16(kmsg.MaxKey + 1) {
		q := kmsg.RequestForKey(key)
		if q == nil || ofNodes(kmsg.Key(key)) {
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
				top, entries := codes(t, r)
				if !failed(top) && !failed(entries) {
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
