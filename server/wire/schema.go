package wire

// An op is one field of a request, or a run of fields of fixed size. A field
// that holds others is followed by them.
type op struct {
	do      kind
	null    bool   // May be null.
	compact bool   // Its length is a uvarint of one more.
	mem     uint16 // Bytes kmsg allocates for it, or for each element of an array.
	n       uint16 // Bytes of a skip; bytes of an element, at least; number of a tag.
	body    uint16 // How many of the ops that follow belong to it.
}

type kind uint8

const (
	skip kind = iota
	str
	byt
	arr  // Without a body its elements take n bytes each.
	opt  // A struct behind a byte that says whether it is there.
	tags // Its body are the tagged fields that are known.
	tag
)

// A program is how one version of one request is walked.
type program struct {
	start, end uint16 // In ops.
	retains    bool   // Has bytes, which kmsg does not copy.
}

// A request names the programs of one API key, from version 0.
type request struct {
	first    uint16 // In programs.
	versions int8
	flexible int8 // The first version with tagged fields, or −1.
}

// known says whether clients may use an API key.
func known(key int16) bool {
	return key >= 0 && int(key) < len(requests) && requests[key].versions > 0
}

// find returns the program for a request.
func find(key, version int16) (*program, bool) {
	if !known(key) || version < 0 || version >= int16(requests[key].versions) {
		return nil, false
	}
	return &programs[requests[key].first+uint16(version)], true
}
