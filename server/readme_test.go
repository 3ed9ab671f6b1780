package server

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

//nolint:gochecknoglobals // A flag of the test binary.
var updateReadme = flag.Bool("update", false, "write the list of requests into README.md")

// TestReadme holds the README's list of requests to the table of APIs.
func TestReadme(t *testing.T) {
	t.Parallel()
	const path = "../README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(text), "<!-- requests: ")
	_, rest, opened := strings.Cut(rest, "-->\n")
	got, _, ended := strings.Cut(rest, "<!-- end of requests -->")
	if !begun || !opened || !ended {
		t.Fatalf("%s has no place for the list of requests", path)
	}
	var want strings.Builder
	for i, a := range apis() {
		if i > 0 {
			want.WriteString(",\n")
		}
		fmt.Fprintf(&want, "%s %d-%d", a.key.Name(), a.served, a.max)
	}
	want.WriteString(".\n")
	if got == want.String() {
		return
	}
	if !*updateReadme {
		t.Fatalf("%s does not list the requests that are served: go test ./server -run TestReadme -update writes them", path)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "-->\n"+got+"<!-- end", "-->\n"+want.String()+"<!-- end", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
