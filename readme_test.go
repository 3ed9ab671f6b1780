package minikafka_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

//nolint:gochecknoglobals // A flag of the test binary.
var updateReadme = flag.Bool("update", false, "write the examples into README.md")

// TestReadmeExamples holds the README's examples to those that run.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_breaking_test.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?s)// ([^\n]+)\nfunc Example\w+\(\) {\n\tc := threeBrokers\(\)\n\tdefer c.Close\(\)\n\n(.*?)\n\n\t// Output: ([^\n]*)\n}`)
	var want strings.Builder
	for _, m := range example.FindAllStringSubmatch(string(source), -1) {
		if n := strings.Count(m[2], "\n") + 1; n > 7 {
			t.Errorf("%q has %d lines: examples are short", m[1], n)
		}
		body := strings.ReplaceAll("\n"+m[2], "\n\t", "\n")
		want.WriteString("\n" + m[1] + "\n\n```go" + body + "\n// prints " + m[3] + "\n```\n")
	}
	if n, there := strings.Count(want.String(), "```go"), strings.Count(string(source), "func Example"); n != there {
		t.Fatalf("%d of %d examples have the form that is looked for", n, there)
	}
	begin, end := "<!-- examples: written by `go test . -run TestReadmeExamples -update` -->\n", "\n<!-- end of examples -->"
	_, rest, begun := strings.Cut(string(text), begin)
	got, _, ended := strings.Cut(rest, end)
	switch {
	case !begun || !ended:
		t.Fatal("README.md has no place for the examples")
	case got == want.String():
	case !*updateReadme:
		t.Fatal("README.md does not have the examples that run: go test . -run TestReadmeExamples -update writes them")
	default:
		text := strings.Replace(string(text), begin+got+end, begin+want.String()+end, 1)
		if err := os.WriteFile("README.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
