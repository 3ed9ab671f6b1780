package log

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestCompressionLevels recompresses a batch as hard as the levels say: the
// harder, the smaller, and all can be read.
func TestCompressionLevels(t *testing.T) {
	t.Parallel()
	words := rand.New(rand.NewPCG(1, 1))
	var list []Record
	for i := range int64(2000) {
		value := fmt.Sprintf("%d orders of %d things by customer %d", words.IntN(50), words.IntN(1000), words.IntN(100_000))
		list = append(list, Record{Offset: i, Timestamp: 1000, Value: []byte(value)})
	}
	raw, err := BuildBatch(list, BatchOptions{ProducerID: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		codec  Codec
		levels []int // from the easiest to the hardest
	}{
		{CodecGzip, []int{1, 9}},
		{CodecLz4, []int{lz4Default, 1, 8, 17}},
		{CodecZstd, []int{3, -131072, 6, 22}},
	} {
		sizes := map[int]int{}
		for _, level := range append(c.levels, 0, -1) {
			if level == -1 && c.codec != CodecGzip {
				continue
			}
			r := plainRules()
			r.Recompress, r.Codec, r.Level = true, c.codec, level
			b, err := Validate(readBatch(raw), r)
			if err != nil {
				t.Fatalf("%v level %d: %v", c.codec, level, err)
			}
			if got, err := Records(b, 0); err != nil || !equalRecords(got, list) {
				t.Fatalf("%v level %d: read %d records, %v", c.codec, level, len(got), err)
			}
			sizes[level] = len(b.Raw)
		}
		if least, most := c.levels[0], c.levels[len(c.levels)-1]; sizes[most] >= sizes[least] {
			t.Errorf("codec %v: %d bytes at level %d, %d at level %d", c.codec, sizes[most], most, sizes[least], least)
		}
		byDefault := map[Codec]int{CodecGzip: -1, CodecLz4: lz4Default, CodecZstd: 3}[c.codec]
		if sizes[0] != sizes[byDefault] {
			t.Errorf("codec %v: %d bytes by default, %d at Kafka's default level %d", c.codec, sizes[0], sizes[byDefault], byDefault)
		}
	}
}
