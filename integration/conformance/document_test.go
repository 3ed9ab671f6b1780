package conformance_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/integration/conformance"
)

// document is where the table is written out.
var document = filepath.Join("..", "..", "docs", "CONFORMANCE.md") //nolint:gochecknoglobals // It does not change.

// reasons says why minikafka differs where it does.
func reasons() map[string]string {
	return map[string]string{
		"G01": "The answer waits for the topic instead, so that a test's clients do not back off.",
		"T22": "The marker waits for a leader, as in Apache Kafka up to 4.1; 4.4.0 completes the transaction without it, and the partition stays closed to read_committed.",
	}
}

// TestDocument holds docs/CONFORMANCE.md to the results in testdata. With -update it writes it.
func TestDocument(t *testing.T) {
	if *updateFlag && *targetFlag != "" {
		t.Cleanup(func() { writeDocument(t) }) // After the run.
		return
	}
	if *updateFlag {
		writeDocument(t)
		return
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, makeDocument(t)) {
		t.Errorf("%s is out of date: go test ./conformance -run TestDocument -update", document)
	}
}

func writeDocument(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(document), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, makeDocument(t), 0o644); err != nil {
		t.Fatal(err)
	}
}

// column is a target in the document.
type column struct {
	target  conformance.Target
	results results
}

// cell is the document's word for a row, and what there is to say about it.
func (c column) cell(r row) (word, remark string) {
	if r.unstaged != "" {
		return "not run", r.unstaged
	}
	for _, s := range append([]situation{{}}, situations()...) {
		if s.name == r.during {
			if why := notApplicable(c.target, r, s); why != "" {
				return "not run", why
			}
		}
	}
	seen, ok := c.results.Rows[r.id]
	if !ok {
		return "not run yet", ""
	}
	return seen.word(), seen.String()
}

// part is a part of the table.
type part struct{ prefix, title string }

func parts() []part {
	return []part{
		{"P", "Produce"},
		{"I", "Idempotent producers"},
		{"E", "ISR, high watermark, elections"},
		{"F", "Fetch, ListOffsets, OffsetForLeaderEpoch"},
		{"T", "Transactions"},
		{"G", "Groups and offsets"},
		{"S", "Share groups"},
		{"A", "Metadata and administration"},
	}
}

const introduction = `# What a Kafka cluster does

Each row is a test in [integration/conformance](../integration/conformance), which stages a situation and checks at the wire what comes
of it: error codes, offsets, epochs, in-sync replicas, what is stored, and whether the connection stays open. A, B and C are three
brokers. "yes" is a target that does as the row says in all that the test looks at, "but for a detail" one that does so but for a
field that clients do not look at; "pending" is a row whose APIs the target does not offer yet. What differs, and how, is below the tables.

This file is made from the results in integration/conformance/testdata by ` + "`go test ./conformance -target=... -update`" + `.

`

func makeDocument(t *testing.T) []byte {
	t.Helper()
	var columns []column
	for _, name := range []string{"reference", "minikafka", "kfake"} {
		target, err := conformance.FindTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		columns = append(columns, column{target, loadResults(t, target.File)})
	}
	var b strings.Builder
	b.WriteString(introduction)
	summary(&b, columns)
	for _, p := range parts() {
		fmt.Fprintf(&b, "## %s\n\n| | situation, and what comes of it |", p.title)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", c.target.Software)
		}
		b.WriteString("\n| --- | --- |" + strings.Repeat(" --- |", len(columns)) + "\n")
		for _, r := range rows() {
			if !strings.HasPrefix(r.id, p.prefix) {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s |", r.id, r.title)
			for _, c := range columns {
				word, _ := c.cell(r)
				fmt.Fprintf(&b, " %s |", word)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	for _, c := range columns {
		remarks(t, &b, c)
	}
	return []byte(strings.TrimRight(b.String(), "\n") + "\n")
}

// summary counts the words of each column.
func summary(b *strings.Builder, columns []column) {
	b.WriteString("| | rows run | yes | but for a detail | differs | pending |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, c := range columns {
		count := map[string]int{}
		for _, r := range rows() {
			word, _ := c.cell(r)
			count[word]++
		}
		yes, slips, differs := count["yes"], count["but for a detail"], count["differs"]
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d |\n", c.target.Software, yes+slips+differs, yes, slips, differs, count["pending"])
	}
	b.WriteString("\n")
}

// remarks lists what there is to say about a column's rows. A difference of minikafka's must have a reason.
func remarks(t *testing.T, b *strings.Builder, c column) {
	t.Helper()
	why := reasons()
	headings := map[string]string{"differs": "differences", "but for a detail": "details", "pending": "pending", "not run": "not run"}
	for _, word := range []string{"differs", "but for a detail", "pending", "not run"} {
		var lines []string
		for _, r := range rows() {
			got, remark := c.cell(r)
			if got != word {
				continue
			}
			if (word == "differs" || word == "but for a detail") && c.target.Name == "minikafka" {
				if why[r.id] == "" {
					t.Errorf("row %s differs and has no reason: %s", r.id, remark)
				}
				remark += ". " + why[r.id]
				delete(why, r.id)
			}
			lines = append(lines, fmt.Sprintf("- %s: %s", r.id, remark))
		}
		if len(lines) > 0 {
			fmt.Fprintf(b, "## %s: %s\n\n%s\n\n", c.target.Software, headings[word], strings.Join(lines, "\n"))
		}
	}
	for id := range why {
		if c.target.Name == "minikafka" {
			t.Errorf("row %s no longer differs: its reason can go", id)
		}
	}
}
