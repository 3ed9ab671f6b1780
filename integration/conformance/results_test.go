package conformance_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/integration/conformance"
)

// results is what is kept of a run, in testdata.
type results struct {
	Software string            `json:"software"`
	Rows     map[string]result `json:"rows"`
}

// result is the outcome of a row; all empty when it passed.
type result struct {
	// Differs is the first check that failed.
	Differs string `json:"differs,omitempty"`
	// Detail is a detail that clients do not look at and that was not as it should be.
	Detail string `json:"detail,omitempty"`
	// Pending names the APIs that the row needs and that are not offered.
	Pending string `json:"pending,omitempty"`
}

func (r result) word() string {
	switch {
	case r.Pending != "":
		return "pending"
	case r.Differs != "":
		return "differs"
	case r.Detail != "":
		return "but for a detail"
	}
	return "yes"
}

// String says what there is to say beside the word.
func (r result) String() string {
	said := slices.DeleteFunc([]string{r.Pending, r.Differs, r.Detail}, func(s string) bool { return s == "" })
	return strings.Join(said, "; ")
}

// readResults returns what is known of the target's rows; nothing when no results are kept.
func readResults(t *testing.T, target conformance.Target) map[string]result {
	t.Helper()
	if target.File == "" {
		return nil
	}
	return loadResults(t, target.File).Rows
}

func loadResults(t *testing.T, file string) (r results) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if errors.Is(err, fs.ErrNotExist) {
		return r
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatalf("results of an earlier run: %v", err)
	}
	return r
}

// write keeps the results of the rows that were run, and drops those of rows that are no more.
func (r *outcomes) write(t *testing.T) {
	t.Helper()
	if r.target.File == "" {
		t.Logf("no results are kept of %s", r.target.Name)
		return
	}
	out := results{Software: r.target.Software, Rows: map[string]result{}}
	for _, row := range rows() {
		if seen, ok := r.seen[row.id]; ok {
			out.Rows[row.id] = seen
		} else if known, ok := r.known[row.id]; ok && !wanted(row) {
			out.Rows[row.id] = known
		}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", r.target.File), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	address = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	local   = regexp.MustCompile(`->|read tcp [^ ]+|write tcp [^ ]+`)
)

// tidy makes what a check said the same in every run.
func tidy(failure string) string {
	first, _, _ := strings.Cut(failure, "\n")
	return local.ReplaceAllString(address.ReplaceAllString(first, "the broker"), "")
}
