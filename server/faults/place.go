package faults

import (
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// list is a field of requests that lists what can fail by itself, and the field
// of the answer that has an entry, with an error code, for each of it.
type list struct {
	in, out string
	scalar  string // the field of the entry, where the request has plain names
	// positional entries name nothing: the first is for the first.
	positional bool
}

// lists are all of them; those of a request are the ones that both it and its
// answer have.
func lists() []list {
	return []list{
		{in: "Topics", out: "Topics"},
		{in: "TopicNames", out: "Topics", scalar: "Topic"},
		{in: "Partitions", out: "Partitions", scalar: "Partition"},
		{in: "Groups", out: "Groups", scalar: "Group"},
		{in: "GroupIDs", out: "Groups", scalar: "GroupID"},
		{in: "CoordinatorKeys", out: "Coordinators", scalar: "Key"},
		{in: "Members", out: "Members"},
		{in: "Markers", out: "Markers"},
		{in: "Transactions", out: "Transactions"},
		{in: "TransactionalIDs", out: "TransactionStates", scalar: "TransactionalID"},
		{in: "Resources", out: "Resources"},
		{in: "Creations", out: "Results", positional: true},
		{in: "Filters", out: "Results", positional: true},
		{in: "Entries", out: "Entries"},
		{in: "FeatureUpdates", out: "Results"},
		{in: "Users", out: "Results"},
		{in: "Deletions", out: "Results"},
		{in: "Upsertions", out: "Results"},
		// The answer to AlterReplicaLogDirs has no entry for a directory, and that
		// to DescribeLogDirs none for what was asked for.
		{in: "Dirs", out: ""},
	}
}

// meansAll tells whether a request that lists no topics is about all of them.
func meansAll(q kmsg.Request) bool {
	switch q := q.(type) {
	case *kmsg.MetadataRequest:
		return q.Topics == nil || q.Version == 0 && len(q.Topics) == 0
	case *kmsg.DescribeTopicPartitionsRequest:
		return len(q.Topics) == 0
	case *kmsg.ElectLeadersRequest:
		return q.Topics == nil
	case *kmsg.DescribeLogDirsRequest:
		return q.Topics == nil
	case *kmsg.ListPartitionReassignmentsRequest:
		return q.Topics == nil
	case *kmsg.OffsetFetchRequest:
		return q.Version < 8 && q.Topics == nil
	}
	return false
}

// entriesFirst tells for which answers that have a code for the whole request it
// is not that which an ordinary error goes into, as KafkaApis does it; some codes
// are of the whole request there too.
func entriesFirst(key, code int16) bool {
	switch kmsg.Key(key) {
	case kmsg.Fetch:
		return code != kerr.FetchSessionIDNotFound.Code && code != kerr.InvalidFetchSessionEpoch.Code && code != kerr.FetchSessionTopicIDError.Code
	case kmsg.ShareFetch, kmsg.ShareAcknowledge:
		return code != kerr.ShareSessionNotFound.Code && code != kerr.InvalidShareSessionEpoch.Code && code != kerr.ShareSessionLimitReached.Code
	case kmsg.Metadata:
		return code != kerr.RebootstrapRequired.Code
	default:
		return false
	}
}

// alsoEntries tells which answers have the code of the whole request in every
// entry too (getErrorResponse of Kafka's requests).
func alsoEntries(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.ElectLeaders, kmsg.AlterPartitionAssignments, kmsg.DescribeUserSCRAMCredentials:
		return true
	default:
		return false
	}
}

// hasTopLevel tells whether the answer has a code for the whole request, in its
// version: what is written and read again tells.
func hasTopLevel(q kmsg.Request) bool {
	r := q.ResponseKind()
	code := codeOf(reflect.ValueOf(r).Elem())
	if !code.IsValid() {
		return false
	}
	code.SetInt(1)
	again := q.ResponseKind()
	return again.ReadFrom(r.AppendTo(nil)) == nil && codeOf(reflect.ValueOf(again).Elem()).Int() == 1
}

// codeOf is the field of an error code of an entry or answer, not valid without.
func codeOf(v reflect.Value) reflect.Value {
	if !v.IsValid() {
		return v
	}
	if f := v.FieldByName("ErrorCode"); f.IsValid() && f.Kind() == reflect.Int16 {
		return f
	}
	return reflect.Value{}
}

// walk finds what a fault fails of one request.
type walk struct {
	fault    *Fault
	topics   Topics
	topLevel bool // the answer has a code for the whole request, and it may be used
	// inAnswer is set when only the answer tells what fails.
	inAnswer bool
	// nowhere is set when something fails that the answer has no entry for.
	nowhere bool
}

// found is what a fault does to one request.
type found struct {
	// errs is an answer with entries only for what fails, or with the code of the
	// whole request.
	errs kmsg.Response
	// rest is the request without what fails; nil when all of it does.
	rest kmsg.Request
	// whole is set when errs has the code of the whole request.
	whole bool
	// inAnswer says that the entries of the answer are to be looked through;
	// everyEntry that each of them fails.
	inAnswer, everyEntry bool
}

// find finds what the fault fails of a request; nil if it does not match. With
// effects that are of no error, only that counts.
func (f *Fault) find(q kmsg.Request, topics Topics) *found {
	has, first := hasTopLevel(q), entriesFirst(q.Key(), f.Code)
	w := walk{fault: f, topics: topics, topLevel: has && (!f.fails() || !first)}
	out := &found{errs: q.ResponseKind(), rest: q}
	r := reflect.ValueOf(out.errs).Elem()
	rest, failed, left := w.fail(reflect.ValueOf(q).Elem(), r, entity{partition: -1}, 0)
	if failed == 0 {
		w.all(q, r)
	}
	switch {
	case failed == 0 && !w.nowhere && !w.inAnswer:
		return nil
	case !f.fails():
		return out
	case has && w.wantsWhole(failed, first), codeOf(r).IsValid() && codeOf(r).Int() != 0:
		return w.wholly(q)
	case failed == 0:
		return w.looking(q)
	}
	if out.rest = nil; left > 0 {
		out.rest = rest.Addr().Interface().(kmsg.Request)
	}
	return out
}

// wantsWhole tells whether the error is one for the whole request: it is asked for,
// or there is nothing smaller.
func (w *walk) wantsWhole(failed int, entriesFirst bool) bool {
	return w.fault.TopLevel || failed == 0 && !w.inAnswer && !entriesFirst
}

// looking is the finding that the answer has to be looked through; nil if nothing
// in it can say the error.
func (w *walk) looking(q kmsg.Request) *found {
	// DescribeLogDirs asks for partitions, and is answered by directory.
	every := !w.inAnswer && q.Key() == int16(kmsg.DescribeLogDirs)
	if !w.inAnswer && !every {
		return nil
	}
	return &found{rest: q, inAnswer: true, everyEntry: every}
}

// all finds out whether the fault matches what a request is about that lists
// nothing because it means all.
func (w *walk) all(q kmsg.Request, r reflect.Value) {
	if meansAll(q) && w.mayMatch(entity{partition: -1}.with(reflect.ValueOf(q).Elem(), w.topics, false)) {
		w.inAnswer = tellsTopics(r)
		w.nowhere = !w.inAnswer
	}
}

// wholly is an answer with an error for the whole request.
func (w *walk) wholly(q kmsg.Request) *found {
	out := &found{errs: q.ResponseKind(), whole: true}
	r := reflect.ValueOf(out.errs).Elem()
	blank(r)
	w.mark(r)
	if alsoEntries(q.Key()) {
		w.topLevel = false
		w.fail(reflect.ValueOf(q).Elem(), r, entity{partition: -1}, 0)
	}
	return out
}

// mayMatch tells whether the fault may match what an answer has and the request
// does not name: topics there are, and partitions.
func (w *walk) mayMatch(at entity) bool {
	f := w.fault
	if at.topic == "" && (f.Topic != "" || f.TopicID != ([16]byte{})) {
		var there bool
		if at.topic, at.topicID, there = w.topics(f.Topic, f.TopicID); !there {
			return false
		}
	}
	if at.partition < 0 && len(f.Partitions) > 0 {
		at.partition = f.Partitions[0]
	}
	return f.decide(at) == match
}

// tellsTopics tells whether an answer has entries for topics, with error codes.
func tellsTopics(r reflect.Value) bool {
	l := r.FieldByName("Topics")
	return l.IsValid() && l.Kind() == reflect.Slice && hasCodes(l.Type().Elem())
}

// fail puts entries into r, an entry of the answer, for what of q, an entry of the
// request, fails. rest is q without that; failed and left count both. r may be not
// valid: then the answer has no such entry.
func (w *walk) fail(q, r reflect.Value, at entity, depth int) (rest reflect.Value, failed, left int) {
	at = at.with(q, w.topics, depth > 0)
	v := w.fault.decide(at)
	switch {
	case v == mismatch:
		return q, 0, 1
	case v == match && codeOf(r).IsValid() && (depth > 0 || w.topLevel):
		w.mark(r)
		return q, 1, 0
	}
	rest = reflect.New(q.Type()).Elem()
	rest.Set(q)
	entries := 0
	for _, l := range lists() {
		in := q.FieldByName(l.in)
		if !in.IsValid() || in.Kind() != reflect.Slice {
			continue
		}
		out, ok := outOf(q, r, l)
		if !ok {
			continue
		}
		entries += in.Len()
		kept, f, n := w.failList(l, q, in, out, at, depth)
		rest.FieldByName(l.in).Set(kept)
		failed, left = failed+f, left+n
	}
	if entries == 0 {
		left = 1
		switch {
		case v == match:
			w.nowhere = true
		case depth > 0 && hasEntries(r) && w.mayMatch(at):
			w.inAnswer = true
		}
	}
	return rest, failed, left
}

// outOf is where r has the entries of a list of q; not valid, but ok, where there
// are none for it.
func outOf(q, r reflect.Value, l list) (out reflect.Value, ok bool) {
	if l.out == "" {
		return r, true // entries of r itself
	}
	if !r.IsValid() {
		return r, true
	}
	switch q := q.Addr().Interface().(type) {
	case *kmsg.DescribeLogDirsRequest:
		return reflect.Value{}, true
	case *kmsg.UpdateFeaturesRequest:
		if q.Version >= 2 { // from then on only the whole request has a code
			return reflect.Value{}, true
		}
	}
	out = r.FieldByName(l.out)
	ok = out.IsValid() && out.Kind() == reflect.Slice && out.Type().Elem().Kind() == reflect.Struct
	return out, ok
}

// failList is fail for one list; kept is what is left of it.
func (w *walk) failList(l list, q, in, out reflect.Value, at entity, depth int) (kept reflect.Value, failed, left int) {
	kept = in
	for i := range in.Len() {
		var entry reflect.Value
		switch {
		case l.out == "":
			entry = out
		case out.IsValid():
			entry = reflect.New(out.Type().Elem()).Elem()
			blank(entry)
		}
		element, f, n := w.failElement(l, q, in.Index(i), entry, at, depth)
		failed, left = failed+f, left+n
		if f > 0 && kept == in {
			// Not in place: the request is not ours.
			kept = reflect.MakeSlice(in.Type(), i, in.Len())
			reflect.Copy(kept, in)
		}
		if n > 0 && kept != in {
			kept = reflect.Append(kept, element)
		}
		if l.out != "" && out.IsValid() && (f > 0 || l.positional) {
			out.Set(reflect.Append(out, entry))
		}
	}
	return kept, failed, left
}

func (w *walk) failElement(l list, q, element, entry reflect.Value, at entity, depth int) (rest reflect.Value, failed, left int) {
	if element.Kind() == reflect.Struct {
		if l.out != "" {
			copyNames(entry, element)
		}
		return w.fail(element, entry, at, depth+1)
	}
	if entry.IsValid() {
		setText(entry.FieldByName(l.scalar), element)
	}
	if w.fault.decide(at.scalar(l, q, element, w.topics)) != match {
		return element, 0, 1
	}
	if !codeOf(entry).IsValid() {
		w.nowhere = true
		return element, 0, 1
	}
	w.mark(entry)
	return element, 1, 0
}

// mark puts the error into an entry.
func (w *walk) mark(r reflect.Value) { codeOf(r).SetInt(int64(w.fault.Code)) }

// hasEntries tells whether an entry of an answer has entries of its own with error
// codes, which the request does not name: partitions in Metadata.
func hasEntries(r reflect.Value) bool {
	if !r.IsValid() {
		return false
	}
	for i := range r.NumField() {
		if t := r.Type().Field(i).Type; t.Kind() == reflect.Slice && hasCodes(t.Elem()) {
			return true
		}
	}
	return false
}

// hasCodes tells whether a type of entries has error codes anywhere.
func hasCodes(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "ErrorCode" || f.Type.Kind() == reflect.Slice && hasCodes(f.Type.Elem()) {
			return true
		}
	}
	return false
}

// names are the fields that say what an entry is of.
func names() []string {
	return []string{
		"Topic", "TopicID", "Partition", "Group", "GroupID", "TransactionalID", "ProducerID", "Key",
		"MemberID", "InstanceID", "ResourceType", "ResourceName", "Feature", "User",
	}
}

// copyNames has an entry of the answer name what an entry of the request does.
func copyNames(entry, element reflect.Value) {
	if !entry.IsValid() {
		return
	}
	for _, name := range names() {
		from := element.FieldByName(name)
		if name == "User" {
			from = element.FieldByName("Name")
		}
		if to := entry.FieldByName(name); to.IsValid() && from.IsValid() {
			setText(to, from)
		}
	}
	// A quota's entity: the same fields, of a type of its own.
	if from, to := element.FieldByName("Entity"), entry.FieldByName("Entity"); from.IsValid() && to.IsValid() {
		for i := range from.Len() {
			part := reflect.New(to.Type().Elem()).Elem()
			part.FieldByName("Type").Set(from.Index(i).FieldByName("Type"))
			part.FieldByName("Name").Set(from.Index(i).FieldByName("Name"))
			to.Set(reflect.Append(to, part))
		}
	}
}

// setText is to.Set(from), also from strings to pointers to one.
func setText(to, from reflect.Value) {
	switch {
	case from.Type().AssignableTo(to.Type()):
		to.Set(from)
	case to.Kind() == reflect.Pointer && from.Kind() == reflect.String:
		s := from.String()
		to.Set(reflect.ValueOf(&s))
	case from.Kind() == reflect.Pointer && to.Kind() == reflect.String && !from.IsNil():
		to.SetString(from.Elem().String())
	}
}

// blank makes an entry what it is beside an error: Kafka says -1 where kmsg has no
// default.
func blank(r reflect.Value) {
	if d, ok := r.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	for _, name := range []string{
		"BaseOffset", "HighWatermark", "LowWatermark", "Offset", "StartOffset", "ProducerID", "ProducerEpoch",
		"NodeID", "Port", "Generation", "LeaderID",
	} {
		if f := r.FieldByName(name); f.IsValid() && slices.Contains([]reflect.Kind{reflect.Int16, reflect.Int32, reflect.Int64}, f.Kind()) && f.Int() == 0 {
			f.SetInt(-1)
		}
	}
	// There are no records: null would be something else.
	if f := r.FieldByName("RecordBatches"); f.IsValid() {
		f.SetBytes([]byte{})
	}
}
