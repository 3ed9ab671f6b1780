package configs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/server/configs"
)

// TestEffectsAreTold holds the effects against the code: a config that is read
// there has one. The other way round docs/CONFIGS.md says so: what has an effect
// and is not read stands there as not built yet.
func TestEffectsAreTold(t *testing.T) {
	t.Parallel()
	for name, where := range namedInCode(t, "../..") {
		told := false
		for _, s := range []configs.Scope{configs.Topic, configs.Broker, configs.Group} {
			c := configs.Lookup(s, name)
			told = told || c != nil && (c.Effect != "" || c.Internal)
		}
		if !told {
			t.Errorf("%s reads %s, of which effects.go says nothing", where, name)
		}
	}
}

// reads tells whether a config with an effect is read. A broker config that is a
// topic's or a group's default is read by way of theirs.
func reads(named map[string]string, c *configs.Config) bool {
	if group, ok := strings.CutPrefix(c.Name, "group."); ok {
		if g := configs.Lookup(configs.Group, group); g != nil && g.Broker == c.Name && named[group] != "" {
			return true
		}
	}
	if topic, ok := strings.CutPrefix(c.Effect, "The default of the topics' "); ok {
		return named[strings.TrimSuffix(topic, ".")] != ""
	}
	return named[c.Name] != ""
}

// fields are the fields of the settings with their configs.
func fields() map[string]string {
	all := map[string]string{}
	for _, s := range []any{configs.TopicSettings{}, configs.BrokerSettings{}} {
		for f := range reflect.TypeOf(s).Fields() {
			all[f.Name] = f.Tag.Get("config")
		}
	}
	all["LogAppendTime"] = all["MessageTimestampType"] // by way of a method
	return all
}

// namedInCode are the configs that are named by string literals of the library's
// code, or by selecting a field of the settings, with the files that do.
func namedInCode(t *testing.T, root string) map[string]string {
	t.Helper()
	named, fields := map[string]string{}, fields()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			switch d.Name() {
			case "configs", "integration", "bench", "cmd", "testdata", ".git":
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if name, err := strconv.Unquote(n.Value); err == nil && (strings.Contains(name, ".") || name == "listeners") && isConfig(name) {
					named[name] = path
				}
			case *ast.SelectorExpr:
				if name := fields[n.Sel.Name]; name != "" && usesSettings(path) {
					named[name] = path
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return named
}

// usesSettings tells whether a file is of a package that has the settings.
func usesSettings(path string) bool {
	return strings.HasPrefix(filepath.ToSlash(path), "../../server/")
}

func isConfig(name string) bool {
	for _, s := range []configs.Scope{configs.Topic, configs.Broker, configs.Group} {
		if configs.Lookup(s, name) != nil {
			return true
		}
	}
	return false
}
