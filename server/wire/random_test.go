package wire_test

import (
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// newRand returns a source of random numbers whose seed is printed if the test
// fails, and is taken from MINIKAFKA_SEED.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// clientKeys returns the API keys that a client may use, which are those that
// kmsg knows and Kafka does not keep between brokers.
func clientKeys() []int16 {
	var keys []int16
	between := map[int16]bool{
		4: true, 5: true, 6: true, 7: true, 52: true, 53: true, 54: true, 56: true, 58: true, 59: true,
		62: true, 63: true, 67: true, 70: true, 73: true, 82: true,
	}
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if !between[key] && kmsg.RequestForKey(key) != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// eachRequest calls fn for every key and version.
func eachRequest(fn func(key, version int16)) {
	for _, key := range clientKeys() {
		for v := int16(0); v <= kmsg.RequestForKey(key).MaxVersion(); v++ {
			fn(key, v)
		}
	}
}

// newRequest returns an empty request of a key and version.
func newRequest(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	return req
}

// randomRequest returns a request with something in every field. What does not
// belong to the version is left out when it is encoded.
func randomRequest(r *rand.Rand, key, version int16) kmsg.Request {
	req := newRequest(key, version)
	fill(r, reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	return req
}

func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		fillStruct(r, v)
	case reflect.Slice:
		fillSlice(r, v)
	case reflect.Pointer:
		if r.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(string(randomBytes(r)))
	case reflect.Bool:
		v.SetBool(r.IntN(2) > 0)
	case reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(uint64(uint8(r.Uint32())))
	default:
		v.SetInt(int64(int8(r.Uint32())))
	}
}

func fillStruct(r *rand.Rand, v reflect.Value) {
	if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
		for range r.IntN(3) {
			tags.Set(100+r.Uint32N(1000), randomBytes(r))
		}
		return
	}
	for i := range v.NumField() {
		if f := v.Field(i); f.CanSet() {
			fill(r, f)
		}
	}
}

func fillSlice(r *rand.Rand, v reflect.Value) {
	switch {
	case r.IntN(6) == 0:
		v.SetZero() // Null where that may be.
	case v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes(randomBytes(r))
	default:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		for range r.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(r, e)
			v.Set(reflect.Append(v, e))
		}
	}
}

func randomBytes(r *rand.Rand) []byte {
	n := r.IntN(12)
	if r.IntN(20) == 0 {
		n = r.IntN(300)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// memory returns how many bytes a decoded request has allocated, as the
// allocator was asked for them. What aliases the body is not counted.
func memory(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = int(v.Type().Elem().Size()) + memory(v.Elem())
		}
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			if tags.Len() > 0 {
				n = 336 + 32*tags.Len()
			}
			return n
		}
		for i := range v.NumField() {
			n += memory(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return 0
		}
		n = v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			n += memory(v.Index(i))
		}
	case reflect.String:
		if v.Len() > 1 {
			n = v.Len()
		}
	default:
	}
	return n
}
