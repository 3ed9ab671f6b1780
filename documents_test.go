package minikafka_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameWhatIsThere holds the tests, files and folders that the
// documents name to what there is.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+|Benchmark\w+|Example\w+)\(`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	test := regexp.MustCompile("`((?:Test|Benchmark)\\w+)`")
	file := regexp.MustCompile("`([a-z0-9_/*]+\\.go)`")
	link := regexp.MustCompile(`\]\(([^):]+)\)`)
	for _, document := range []string{"ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/CONFIGS.md", "docs/CONFORMANCE.md", "docs/KFAKE.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range test.FindAllSubmatch(text, -1) {
			if !tests[string(m[1])] {
				t.Errorf("%s names %s, which is not there", document, m[1])
			}
		}
		for _, m := range file.FindAllSubmatch(text, -1) {
			if there, err := filepath.Glob(string(m[1])); err != nil || len(there) == 0 {
				t.Errorf("%s names %s, which is not there", document, m[1])
			}
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			checkLink(t, document, string(m[1]))
		}
	}
}

// checkLink holds a link to the file and the heading that it leads to.
func checkLink(t *testing.T, document, link string) {
	t.Helper()
	path, anchor, _ := strings.Cut(link, "#")
	target := document
	if path != "" {
		target = filepath.Join(filepath.Dir(document), path)
	}
	text, err := os.ReadFile(target)
	if info, is := os.Stat(target); is == nil && info.IsDir() && anchor == "" {
		return
	}
	if err != nil {
		t.Errorf("%s links to %s: %v", document, link, err)
		return
	}
	if anchor == "" {
		return
	}
	for line := range strings.Lines(string(text)) {
		if heading, is := strings.CutPrefix(line, "#"); is {
			heading = strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
			if strings.ReplaceAll(strings.ReplaceAll(heading, " ", "-"), ",", "") == anchor {
				return
			}
		}
	}
	t.Errorf("%s links to %s: there is no such heading", document, link)
}
