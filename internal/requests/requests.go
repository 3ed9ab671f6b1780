// Package requests makes requests of every API key, for tests of all of them.
//
// Only tests import this package.
package requests

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Names are what a request is to name.
type Names struct {
	Topic           string
	TopicID         [16]byte
	Group           string
	TransactionalID string
	// Other is every other string, and the resources, of type topic, that are no
	// topic's.
	Other string
}

// New is a request that names one of each that its key and version can name, as a
// broker decodes it.
func New(key, version int16, names Names) (kmsg.Request, error) {
	q := kmsg.RequestForKey(key)
	q.SetVersion(version)
	names.fill(reflect.ValueOf(q).Elem())
	if p, is := q.(*kmsg.ProduceRequest); is {
		p.Acks = -1
	}
	got := kmsg.RequestForKey(key)
	got.SetVersion(version)
	return got, got.ReadFrom(q.AppendTo(nil))
}

// OfNodes tells which keys are of requests between nodes, which no client sends.
func OfNodes(key kmsg.Key) bool {
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

// text is what a field or list of this name is filled with.
func (n Names) text(field string) string {
	switch field {
	case "Topic", "TopicNames":
		return n.Topic
	case "Group", "Groups", "GroupID", "GroupIDs", "CoordinatorKey", "CoordinatorKeys":
		return n.Group
	case "TransactionalID", "TransactionalIDs":
		return n.TransactionalID
	}
	return n.Other
}

func (n Names) fill(v reflect.Value) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		text := n.text(name)
		switch {
		case name == "ResourceType":
			f.SetInt(2) // a topic's
		case name == "TopicID":
			f.Set(reflect.ValueOf(n.TopicID))
		case f.Kind() == reflect.String:
			f.SetString(text)
		case f.Type() == reflect.TypeFor[*string]() && name != "TransactionID":
			f.Set(reflect.ValueOf(&text))
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() != reflect.Uint8 && name != "ForgottenTopics" && name != "ReplicaAssignment":
			f.Set(reflect.Append(f, n.one(f.Type().Elem(), text)))
		}
	}
}

// one is the one element of a list.
func (n Names) one(t reflect.Type, text string) reflect.Value {
	one := reflect.New(t).Elem()
	if t.Kind() == reflect.String {
		one.SetString(text)
	}
	if t.Kind() == reflect.Struct {
		if d, ok := one.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		n.fill(one)
	}
	return one
}

// Codes are the error codes of an answer, as a client reads them: that of the whole
// request, if its version has one, and those of its entries. The error is that the
// answer is not well formed.
func Codes(r kmsg.Response) (whole, entries []int16, err error) {
	again := kmsg.ResponseForKey(r.Key())
	again.SetVersion(r.GetVersion())
	if err := again.ReadFrom(r.AppendTo(nil)); err != nil {
		return nil, nil, err
	}
	v := reflect.ValueOf(again).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Name == "ErrorCode" {
			whole = append(whole, int16(v.Field(i).Int()))
		} else {
			entries = append(entries, codesIn(v.Field(i))...)
		}
	}
	return whole, entries, nil
}

func codesIn(list reflect.Value) (codes []int16) {
	if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
		return nil
	}
	for i := range list.Len() {
		v := list.Index(i)
		for j := range v.NumField() {
			if v.Type().Field(j).Name == "ErrorCode" {
				codes = append(codes, int16(v.Field(j).Int()))
			} else {
				codes = append(codes, codesIn(v.Field(j))...)
			}
		}
	}
	return codes
}
