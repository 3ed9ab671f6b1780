package main

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// elementSizes returns the size in memory of every type that an array or an
// optional struct of a request holds, by its name in kmsg's code.
func elementSizes() map[string]int {
	sizes := map[string]int{
		"int8": 1, "int16": 2, "int32": 4, "int64": 8, "string": 16, "[16]byte": 16,
	}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Slice, reflect.Pointer:
			visit(t.Elem())
		case reflect.Struct:
			if sizes[t.Name()] != 0 {
				return
			}
			sizes[t.Name()] = int(t.Size())
			for f := range t.Fields() {
				visit(f.Type)
			}
		default:
		}
	}
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if req := kmsg.RequestForKey(key); req != nil {
			visit(reflect.TypeOf(req))
		}
	}
	return sizes
}
