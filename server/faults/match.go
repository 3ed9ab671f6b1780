package faults

import (
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topics completes what names a topic: the name of an id, the id of a name. known
// tells whether there is such a topic.
type Topics func(name string, id [16]byte) (fullName string, fullID [16]byte, known bool)

// entity is what is known, at one place of a request or answer, of the thing that
// may fail there.
type entity struct {
	topic     string
	topicID   [16]byte
	partition int32 // -1: none
	group     string
	txn       string
	resources []string
}

// verdict is what a fault says of an entity.
type verdict int

const (
	mismatch  verdict = iota
	undecided         // something that the fault selects by is not known here
	match
)

func (f *Fault) decide(e entity) verdict {
	v := match
	// A field that is not set, or not known yet, decides nothing.
	see := func(set, known, same bool) {
		switch {
		case !set || v == mismatch:
		case !known:
			v = undecided
		case !same:
			v = mismatch
		}
	}
	none := [16]byte{}
	see(f.Topic != "", e.topic != "", e.topic == f.Topic)
	see(f.TopicID != none, e.topicID != none, e.topicID == f.TopicID)
	see(len(f.Partitions) > 0, e.partition >= 0, slices.Contains(f.Partitions, e.partition))
	see(f.Group != "", e.group != "", e.group == f.Group)
	see(f.TransactionalID != "", e.txn != "", e.txn == f.TransactionalID)
	see(f.Resource != "", len(e.resources) > 0, slices.Contains(e.resources, f.Resource))
	return v
}

// considers tells whether the fault is for such a request at all.
func (f *Fault) considers(q *Request) bool {
	return (len(f.Keys) == 0 || slices.Contains(f.Keys, q.Body.Key())) &&
		(len(f.Nodes) == 0 || slices.Contains(f.Nodes, q.Node)) &&
		(f.ClientID == "" || f.ClientID == q.ClientID)
}

// with is e and what the fields of v, a struct of a request or answer, tell.
func (e entity) with(v reflect.Value, topics Topics, inList bool) entity {
	if s := text(v, "Group", "GroupID"); s != "" {
		e.group = s
	}
	if s := text(v, "TransactionalID", "TransactionID"); s != "" {
		e.txn = s
	}
	var id [16]byte
	if f := v.FieldByName("TopicID"); f.IsValid() {
		id, _ = f.Interface().([16]byte)
	}
	if name := text(v, "Topic"); name != "" || id != ([16]byte{}) {
		e = e.inTopic(name, id, topics)
	}
	if s := text(v, "ResourceName"); s != "" {
		e = e.named(s, v.FieldByName("ResourceType"), topics)
	}
	if inList {
		e = e.listed(v)
	}
	if l := v.FieldByName("Entity"); l.IsValid() { // of client quotas
		for i := range l.Len() {
			e.resources = append(slices.Clip(e.resources), text(l.Index(i), "Name"))
		}
	}
	if s := text(v, "CoordinatorKey"); s != "" {
		e = e.coordinated(s, v)
	}
	return e
}

// listed is with for what only entries of lists name.
func (e entity) listed(v reflect.Value) entity {
	if p := v.FieldByName("Partition"); p.IsValid() && p.Kind() == reflect.Int32 {
		e.partition = int32(p.Int())
	}
	for _, field := range []string{"Dir", "Feature", "User", "Name", "MemberID", "InstanceID"} {
		if s := text(v, field); s != "" {
			e.resources = append(slices.Clip(e.resources), s)
		}
	}
	return e
}

func (e entity) inTopic(name string, id [16]byte, topics Topics) entity {
	e.topic, e.topicID, _ = topics(name, id)
	return e
}

// named is e for a resource of configs or ACLs: a topic, a group, or what it is.
func (e entity) named(name string, kind reflect.Value, topics Topics) entity {
	e.resources = append(slices.Clip(e.resources), name)
	switch kind.Interface() {
	case kmsg.ConfigResourceTypeTopic, kmsg.ACLResourceTypeTopic:
		return e.inTopic(name, [16]byte{}, topics)
	case kmsg.ConfigResourceTypeGroupConfig, kmsg.ACLResourceTypeGroup:
		e.group = name
	case kmsg.ACLResourceTypeTransactionalId:
		e.txn = name
	}
	return e
}

// coordinated is e for a key of q, a FindCoordinator request.
func (e entity) coordinated(key string, q reflect.Value) entity {
	switch q.FieldByName("CoordinatorType").Int() {
	case 0:
		e.group = key
	case 1:
		e.txn = key
	default:
		e.resources = append(slices.Clip(e.resources), key)
	}
	return e
}

// scalar is e for an element of a list of names or numbers.
func (e entity) scalar(l list, q, element reflect.Value, topics Topics) entity {
	switch l.scalar {
	case "Partition":
		e.partition = int32(element.Int())
	case "Topic":
		return e.inTopic(element.String(), [16]byte{}, topics)
	case "Group", "GroupID":
		e.group = element.String()
	case "TransactionalID":
		e.txn = element.String()
	case "Key":
		return e.coordinated(element.String(), q)
	}
	return e
}

// text is the first of the fields, strings or pointers to one, that is there and
// not empty.
func text(v reflect.Value, fields ...string) string {
	for _, name := range fields {
		f := v.FieldByName(name)
		if !f.IsValid() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			f = f.Elem() // invalid when nil
		}
		if f.Kind() == reflect.String && f.Len() > 0 {
			return f.String()
		}
	}
	return ""
}
