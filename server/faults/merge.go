package faults

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// merge puts the entries of errs into an answer: in place of those of the same
// things, or beside them.
func merge(answer, errs kmsg.Response) {
	_, produced := answer.(*kmsg.ProduceResponse)
	mergeEntries(reflect.ValueOf(answer).Elem(), reflect.ValueOf(errs).Elem(), produced)
}

// mergeEntries merges the lists of two entries. keep has an answer keep what it
// says beside its error: Kafka tells the offset of what it has appended
// (DelayedProduce).
func mergeEntries(to, errs reflect.Value, keep bool) {
	for i := range errs.NumField() {
		from := errs.Field(i)
		if from.Kind() != reflect.Slice || !hasCodes(from.Type().Elem()) {
			continue
		}
		if into := to.Field(i); nameless(from.Type().Elem()) {
			into.Set(interleave(into, from))
		} else {
			for j := range from.Len() {
				mergeEntry(into, from.Index(j), keep)
			}
		}
	}
}

func mergeEntry(into, e reflect.Value, keep bool) {
	found := false
	for k := range into.Len() {
		at := into.Index(k)
		if !sameThing(at, e) {
			continue
		}
		found = true
		switch code := codeOf(e); {
		case !code.IsValid() || code.Int() == 0:
			mergeEntries(at, e, keep)
		case keep:
			codeOf(at).Set(code)
		default:
			at.Set(e)
		}
	}
	if !found {
		into.Set(reflect.Append(into, e))
	}
}

// sameThing tells whether two entries are of the same thing. One may tell more of
// it than the other.
func sameThing(a, b reflect.Value) bool {
	for _, name := range names() {
		x, y := a.FieldByName(name), b.FieldByName(name)
		if !x.IsValid() {
			continue
		}
		if name != "Partition" && (isEmpty(x) || isEmpty(y)) {
			continue
		}
		if !reflect.DeepEqual(x.Interface(), y.Interface()) {
			return false
		}
	}
	if x := a.FieldByName("Entity"); x.IsValid() {
		return reflect.DeepEqual(x.Interface(), b.FieldByName("Entity").Interface())
	}
	return true
}

func isEmpty(v reflect.Value) bool {
	return v.IsZero() || v.Kind() == reflect.Pointer && v.Elem().IsZero()
}

// nameless tells whether entries are found by their place in the list.
func nameless(t reflect.Type) bool {
	for _, name := range append(names(), "Entity", "Dir") {
		if _, ok := t.FieldByName(name); ok {
			return false
		}
	}
	return true
}

// interleave puts the entries of an answer to the rest of a request into the
// places of errs that have no error.
func interleave(rest, errs reflect.Value) reflect.Value {
	out := reflect.MakeSlice(errs.Type(), 0, errs.Len())
	next := 0
	for i := range errs.Len() {
		e := errs.Index(i)
		switch {
		case rest.Len() == errs.Len(): // nothing was left out
			if codeOf(e).Int() == 0 {
				e = rest.Index(i)
			}
		case codeOf(e).Int() == 0 && next < rest.Len():
			e = rest.Index(next)
			next++
		}
		out = reflect.Append(out, e)
	}
	return out
}

// mark puts the fault's error into the entries of an answer that it selects.
func (f *Fault) markEntries(answer kmsg.Response, topics Topics) {
	f.markIn(reflect.ValueOf(answer).Elem(), entity{partition: -1}, 0, topics)
}

func (f *Fault) markIn(r reflect.Value, at entity, depth int, topics Topics) {
	at = at.with(r, topics, depth > 0)
	switch v := f.decide(at); {
	case v == mismatch:
		return
	case v == match && depth > 0 && codeOf(r).IsValid():
		f.markEntry(r)
		return
	}
	for i := range r.NumField() {
		if l := r.Field(i); l.Kind() == reflect.Slice && hasCodes(l.Type().Elem()) {
			for j := range l.Len() {
				f.markIn(l.Index(j), at, depth+1, topics)
			}
		}
	}
}

// markEntry puts the error into one entry, and takes out what stands beside it. A
// partition of Metadata that has an error has no leader, but replicas.
func (f *Fault) markEntry(r reflect.Value) {
	if isr := r.FieldByName("ISR"); isr.IsValid() {
		for _, name := range []string{"Leader", "LeaderID"} {
			if leader := r.FieldByName(name); leader.IsValid() {
				leader.SetInt(-1)
			}
		}
	} else {
		fresh := reflect.New(r.Type()).Elem()
		blank(fresh)
		copyNames(fresh, r)
		if dir := fresh.FieldByName("Dir"); dir.IsValid() {
			dir.Set(r.FieldByName("Dir"))
		}
		r.Set(fresh)
	}
	codeOf(r).SetInt(int64(f.Code))
}
