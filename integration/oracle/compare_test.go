package oracle_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// document is where the differences are told.
const document = "../../docs/KFAKE.md"

var update = flag.Bool("update", false, "write "+document) //nolint:gochecknoglobals // A flag.

// script is something that a client does.
type script struct {
	name string
	run  func(*session)
	// needs are the keys without which the script cannot run.
	needs []kmsg.Key
}

func scripts() []script {
	return []script{
		{name: "topics", run: topics},
		{name: "partitions", run: partitions},
		{name: "produce", run: produce},
		{name: "codecs", run: codecs},
		{name: "timestamps", run: timestamps},
		{name: "fetch", run: fetch},
		{name: "list offsets", run: listOffsets},
		{name: "delete records", run: deleteRecords},
		{name: "metadata", run: metadata},
		{name: "configs", run: configs},
		{name: "idempotence", run: idempotence},
		{name: "leader epochs", run: leaderEpochs},
		{name: "groups", run: groups, needs: []kmsg.Key{kmsg.FindCoordinator}},
		{name: "transactions", run: transactions, needs: []kmsg.Key{kmsg.EndTxn}},
		{name: "older transactions", run: olderTransactions, needs: []kmsg.Key{kmsg.EndTxn}},
		{name: "newer transactions", run: newerTransactions, needs: []kmsg.Key{kmsg.EndTxn}},
		{name: "offsets in transactions", run: offsetsInTransactions, needs: []kmsg.Key{kmsg.EndTxn}},
		{name: "list transactions", run: listTransactions, needs: []kmsg.Key{kmsg.ListTransactions}},
		{name: "cluster", run: cluster, needs: []kmsg.Key{kmsg.ListPartitionReassignments}},
	}
}

// difference is an answer of kfake's that is not minikafka's.
type difference struct {
	script, what     string
	kfake, minikafka string
	why              string
}

// missing stands for a sight that one of the two did not have.
const missing = "(nothing)"

func TestKfake(t *testing.T) {
	t.Parallel()
	fake, mini := startKfake(t), startMinikafka(t)
	listed := map[string]difference{}
	for _, d := range differences() {
		listed[d.script+": "+d.what] = d
	}
	for _, sc := range scripts() {
		t.Run(strings.ReplaceAll(sc.name, " ", "-"), func(t *testing.T) {
			a, b := newSession(t, fake), newSession(t, mini)
			b.skipUnless(sc.needs)
			sc.run(a)
			sc.run(b)
			for _, d := range compare(sc.name, a.seen, b.seen) {
				key := d.script + ": " + d.what
				known, ok := listed[key]
				switch {
				case !ok:
					t.Errorf("%s\n\tkfake:     %s\n\tminikafka: %s\n\tand this is not listed", key, d.kfake, d.minikafka)
				case known.kfake != d.kfake || known.minikafka != d.minikafka:
					t.Errorf("%s\n\tkfake:     %s\n\tlisted:    %s\n\tminikafka: %s\n\tlisted:    %s", key, d.kfake, known.kfake, d.minikafka, known.minikafka)
				}
				delete(listed, key)
			}
			for key, d := range listed {
				if d.script == sc.name {
					t.Errorf("%s is listed as a difference, but is none", key)
				}
			}
		})
	}
}

func compare(name string, fake, mini []sight) (out []difference) {
	theirs := map[string]string{}
	for _, s := range fake {
		theirs[s.what] = s.how
	}
	ours := map[string]bool{}
	for _, s := range mini {
		ours[s.what] = true
		their, ok := theirs[s.what]
		if !ok {
			their = missing
		}
		if their != s.how {
			out = append(out, difference{script: name, what: s.what, kfake: their, minikafka: s.how})
		}
	}
	for _, s := range fake {
		if !ours[s.what] {
			out = append(out, difference{script: name, what: s.what, kfake: s.how, minikafka: missing})
		}
	}
	return out
}

// TestDocument compares docs/KFAKE.md with the list.
func TestDocument(t *testing.T) {
	t.Parallel()
	want := render()
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the list says; run go test ./oracle -update", document)
	}
}

func render() string {
	var b strings.Builder
	b.WriteString(`# Where kfake answers otherwise

kfake is franz-go's in-memory fake of Kafka. The scripts in integration/oracle run against it and against minikafka, and
every answer is compared. These are the differences; minikafka's answers are those of Apache Kafka 4.4.0 unless the
last column says otherwise. What replication changes is not here, as kfake has none.

This file is made by ` + "`go test ./oracle -update`" + ` from the list that the test compares with.

| script | what | kfake | minikafka | why |
| --- | --- | --- | --- | --- |
`)
	for _, d := range differences() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", d.script, d.what, cell(d.kfake), cell(d.minikafka), d.why)
	}
	return b.String()
}

func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
