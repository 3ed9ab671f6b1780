package faults_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/internal/requests"
	"github.com/minikafka/minikafka/server/faults"
)

// seeded is a random source whose seed is printed, and taken from MINIKAFKA_SEED.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("MINIKAFKA_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's
}

// scramble fills a request or a part of it with what clients may send, and with
// what they should not.
func scramble(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
				scramble(r, v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		n := r.IntN(4)
		if n == 3 {
			return // null
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			scramble(r, v.Index(i), depth+1)
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scramble(r, v.Elem(), depth+1)
		}
	case reflect.Array:
		if r.IntN(2) == 0 {
			v.Index(0).SetUint(uint64(r.IntN(3)))
		}
	case reflect.String:
		v.SetString([]string{"", "a", "b", "orders"}[r.IntN(4)])
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(4)) - 1)
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(3)))
	default:
	}
}

func randomFault(r *rand.Rand) faults.Fault {
	f := faults.Fault{
		Code: code, TopLevel: r.IntN(6) == 0,
		Effect: []faults.Effect{faults.ErrorBeforeWork, faults.ErrorAfterWork, faults.None, faults.CutAnswer}[r.IntN(4)],
	}
	some := func(s *string) {
		if r.IntN(3) == 0 {
			*s = []string{"a", "b", "orders"}[r.IntN(3)]
		}
	}
	some(&f.Topic)
	some(&f.Group)
	some(&f.TransactionalID)
	some(&f.Resource)
	for range r.IntN(3) {
		f.Partitions = append(f.Partitions, int32(r.IntN(3)))
	}
	return f
}

// TestRandomRequests has requests of all kinds meet faults of all kinds: answers
// are well formed, and what was asked is what it was.
func TestRandomRequests(t *testing.T) {
	t.Parallel()
	r := seeded(t)
	hits := 0
	for range 20_000 {
		key := int16(r.IntN(kmsg.MaxKey + 1))
		q := kmsg.RequestForKey(key)
		if q == nil || requests.OfNodes(kmsg.Key(key)) {
			continue
		}
		q.SetVersion(int16(r.IntN(int(q.MaxVersion()) + 1)))
		scramble(r, reflect.ValueOf(q).Elem(), 0)
		before := q.AppendTo(nil)
		if err := q.ReadFrom(before); err != nil {
			t.Fatal(err)
		}
		s := faults.NewSet(func() { hits++ })
		what := fmt.Sprintf("%s %d %+v", kmsg.NameForKey(key), q.GetVersion(), q)
		for range 1 + r.IntN(3) {
			f := randomFault(r)
			what += fmt.Sprintf(" %+v", f)
			s.Add(f)
		}
		worked := 0
		answer, _, err := s.Run(&faults.Request{Body: q}, broker(&worked))
		if err != nil && answer != nil || err == nil && answer == nil {
			t.Fatalf("%s: %v, %v", what, answer, err)
		}
		if answer != nil {
			if _, _, err := requests.Codes(answer); err != nil {
				t.Fatalf("%s: the answer is not well formed: %v", what, err)
			}
		}
		if !bytes.Equal(q.AppendTo(nil), before) {
			t.Fatalf("%s: the request has been changed to %+v", what, q)
		}
	}
	if hits < 1000 {
		t.Errorf("%d hits only", hits)
	}
}
