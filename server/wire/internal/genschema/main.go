// Command genschema writes the table by which package wire walks request
// bodies. It reads the readFrom methods of kmsg's requests, so that the walker
// and the decoder behind it agree on every byte, and unrolls them once for each
// version.
//
// It stops at the first statement it does not understand: a new kmsg whose
// generated code takes another form has to be taught here, not guessed at.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const kmsgPath = "github.com/twmb/franz-go/pkg/kmsg"

func main() {
	out := flag.String("out", "schema_gen.go", "the file to write")
	check := flag.Bool("check", false, "write nothing; fail if the file is not what would be written")
	flag.Parse()
	if err := run(*out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "genschema:", err)
		os.Exit(1)
	}
}

func run(out string, check bool) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", kmsgPath).Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w", kmsgPath, err)
	}
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", kmsgPath).Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w", kmsgPath, err)
	}
	src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "generated.go"))
	if err != nil {
		return err
	}
	tables, err := generate(src)
	if err != nil {
		return err
	}
	text, err := format.Source(tables.render(strings.TrimSpace(string(version))))
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(out, text, 0o644)
	}
	have, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, text) {
		return fmt.Errorf("%s is not what go generate writes", out)
	}
	return nil
}

// generate unrolls every request a client may send, in every version kmsg
// knows.
func generate(src []byte) (*tables, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "generated.go", src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	readers := make(map[string]*ast.FuncDecl)
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "readFrom" {
			recv := fn.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
			readers[recv] = fn
		}
	}
	sizes := elementSizes()
	t := new(tables)
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if betweenBrokers(key) {
			continue
		}
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		name := strings.TrimPrefix(fmt.Sprintf("%T", req), "*kmsg.")
		fn := readers[name]
		if fn == nil {
			return nil, fmt.Errorf("%s has no readFrom", name)
		}
		for v := int16(0); v <= req.MaxVersion(); v++ {
			u := unroller{version: v, sizes: sizes}
			root, err := u.request(fn)
			if err != nil {
				return nil, fmt.Errorf("%s v%d: %w", name, v, err)
			}
			t.add(key, v, strings.TrimSuffix(name, "Request"), u.flexible, root)
		}
	}
	if len(t.programs) == 0 {
		return nil, errors.New("no request found")
	}
	return t, nil
}

// betweenBrokers says whether a key is never offered on a client's listener:
// ZooKeeper's controller requests, raft, broker life cycle, and requests that a
// broker sends to a controller.
func betweenBrokers(key int16) bool {
	switch key {
	case 4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82:
		return true
	}
	return false
}
