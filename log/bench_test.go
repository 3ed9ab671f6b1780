package log

import (
	"fmt"
	"sync"
	"testing"
)

func BenchmarkValidate(b *testing.B) {
	for _, c := range allCodecs() {
		b.Run(fmt.Sprint("codec", c), func(b *testing.B) {
			raw := franzBatch(b, someRecords(100), c, nil)
			r := plainRules()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Validate(readBatch(raw), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppend appends batches of a size from some partitions at once.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ size, writers int }{{100, 1}, {100, 16}, {100, 256}, {1000, 1}, {1000, 64}, {64 << 10, 1}, {64 << 10, 8}} {
		b.Run(fmt.Sprintf("size=%d/partitions=%d", c.size, c.writers), func(b *testing.B) {
			d := testDB(b, Options{CacheBytes: 256 << 10})
			parts := make([]*Partition, c.writers)
			for i := range parts {
				parts[i] = testPartition(b, d, int32(i))
			}
			raw, err := BuildBatch([]Record{{Value: make([]byte, c.size-75)}}, BatchOptions{ProducerID: -1})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for w, p := range parts {
				n := b.N / c.writers
				if w < b.N%c.writers {
					n++
				}
				wg.Go(func() {
					for i := range n {
						data := append([]byte(nil), raw...)
						if err := p.Append([]Entry{{Index: uint64(i + 1), Term: 1, Data: data}}, true); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkRead reads a log that is not cached, a megabyte at a time.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1000, 64 << 10} {
		b.Run(fmt.Sprint("size=", size), func(b *testing.B) {
			p := testPartition(b, testDB(b, Options{CacheBytes: 1}), 0)
			raw, err := BuildBatch([]Record{{Value: make([]byte, size-75)}}, BatchOptions{ProducerID: -1})
			if err != nil {
				b.Fatal(err)
			}
			for p.Size() < 64<<20 {
				var batches [][]byte
				for range 1 + 4<<20/size {
					batches = append(batches, append([]byte(nil), raw...))
				}
				appendBatches(b, p, 1, batches...)
			}
			end, offset := p.LogEndOffset(), int64(0)
			b.SetBytes(1 << 20)
			b.ResetTimer()
			for b.Loop() {
				got, err := p.Read(offset, end, 1<<20, true)
				if err != nil {
					b.Fatal(err)
				}
				if offset += int64(len(got) / len(raw)); offset >= end {
					offset = 0
				}
			}
		})
	}
}

// BenchmarkEntry is what replication asks for each entry and follower.
func BenchmarkEntry(b *testing.B) {
	p := testPartition(b, testDB(b, Options{}), 0)
	appendBatches(b, p, 1, batchOf(b, 10, BatchOptions{}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Entry(1); err != nil {
			b.Fatal(err)
		}
	}
}
