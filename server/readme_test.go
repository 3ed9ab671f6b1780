package server

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
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

// keysOfKafka are the requests that brokers of Apache Kafka 4.4.0 offer, from
// the first to the last of each run.
func keysOfKafka() [][2]kmsg.Key {
	return [][2]kmsg.Key{{0, 3}, {8, 51}, {55, 55}, {57, 57}, {60, 61}, {64, 66}, {68, 69}, {74, 81}, {83, 94}}
}

// TestReadmeSaysWhatIsNotServed holds the README's list of what is not there to
// the table of APIs, too.
func TestReadmeSaysWhatIsNotServed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## What is not there\n")
	list, _, found := strings.Cut(rest, "\n## ")
	if !found {
		t.Fatal("the README does not say what is not there")
	}
	for _, run := range keysOfKafka() {
		for key := run[0]; key <= run[1]; key++ {
			named := regexp.MustCompile(`\b` + key.Name() + `\b`).MatchString(list)
			if served := slices.Contains(Keys(), key); served == named {
				t.Errorf("%s: served: %v, in the README's list of what is not there: %v", key.Name(), served, named)
			}
		}
	}
}
