package minikafka

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/server/configs"
)

// TestConfigsDocument holds CONFIGS.md to the catalogue. MINIKAFKA_UPDATE=1
// writes it anew.
func TestConfigsDocument(t *testing.T) {
	t.Parallel()
	want := configsDocument()
	if os.Getenv("MINIKAFKA_UPDATE") == "1" {
		if err := os.WriteFile("CONFIGS.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("CONFIGS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("CONFIGS.md is not what the catalogue says: write it anew with MINIKAFKA_UPDATE=1 go test -run TestConfigsDocument .")
	}
}

func configsDocument() string {
	var out strings.Builder
	out.WriteString("# Configs\n\nEvery config of Apache Kafka 4.4.0 is known by its name, and its value is checked. This list is generated.\n")
	for _, scope := range []struct {
		scope configs.Scope
		title string
	}{{configs.Topic, "Topic configs"}, {configs.Broker, "Broker configs"}, {configs.Group, "Group configs"}} {
		var idle []string
		fmt.Fprintf(&out, "\n## %s\n", scope.title)
		head := "\n| config | what it does |\n| --- | --- |\n"
		for _, c := range configs.All(scope.scope) {
			if c.Effect == "" {
				idle = append(idle, "`"+c.Name+"`")
				continue
			}
			out.WriteString(head)
			head = ""
			fmt.Fprintf(&out, "| `%s` | %s |\n", c.Name, c.Effect)
		}
		if len(idle) > 0 {
			fmt.Fprintf(&out, "\nWithout an effect:\n%s.\n", strings.Join(idle, ",\n"))
		}
	}
	return out.String()
}
