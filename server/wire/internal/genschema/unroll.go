package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"slices"
	"strconv"
)

// A node is one field as it lies on the wire.
type node struct {
	kind     kind
	nullable bool
	boxed    bool   // A string that kmsg keeps behind a pointer.
	flexible bool   // Lengths and counts are uvarints of one more.
	size     int    // Wire bytes, for fixed.
	mem      int    // Bytes that kmsg allocates, for each element of an array or for an optional struct.
	tag      int    // The number of a tagged field.
	kids     []node // The element of an array, the fields of a struct, the known tags of tags.
}

type kind int

const (
	fixed kind = iota
	str
	byt
	array
	optional // A struct behind an int8, −1 for null.
	tags
	tag
)

// An unroller follows one readFrom for one version.
type unroller struct {
	version  int16
	flexible bool
	sizes    map[string]int
}

func (u *unroller) request(fn *ast.FuncDecl) ([]node, error) {
	nodes, err := u.block(fn.Body.List)
	if err == nil && unfinished(nodes) {
		err = errors.New("an array without a loop")
	}
	return nodes, err
}

func unfinished(nodes []node) bool {
	return slices.ContainsFunc(nodes, func(n node) bool {
		return n.kind == array && n.kids == nil || unfinished(n.kids)
	})
}

// block returns the fields that a run of statements reads, in order.
func (u *unroller) block(stmts []ast.Stmt) ([]node, error) {
	var nodes []node
	for _, s := range stmts {
		// The array's length is read before the statements that say what
		// it is an array of.
		if open := openArray(nodes); open != nil {
			done, err := u.amendArray(open, s)
			if err != nil {
				return nil, err
			}
			if done {
				continue
			}
		}
		// A string behind a pointer although it is never null.
		if len(nodes) > 0 && text(s) == "v = &vv" {
			nodes[len(nodes)-1].boxed = true
			continue
		}
		more, err := u.stmt(s)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, more...)
	}
	return nodes, nil
}

// openArray returns the last node if it is an array whose loop is still to
// come.
func openArray(nodes []node) *node {
	if len(nodes) == 0 {
		return nil
	}
	if last := &nodes[len(nodes)-1]; last.kind == array && last.kids == nil {
		return last
	}
	return nil
}

// amendArray takes the statements between an array's length and its loop, and
// the loop.
func (u *unroller) amendArray(a *node, s ast.Stmt) (bool, error) {
	switch s := s.(type) {
	case *ast.IfStmt:
		switch text(s.Cond) {
		case "!b.Ok()":
			return true, nil
		case "l > 0":
			elem, ok := madeElement(s.Body.List[0])
			if !ok || u.sizes[elem] == 0 {
				return false, fmt.Errorf("unknown element: %s", text(s))
			}
			a.mem = u.sizes[elem]
			return true, nil
		}
		// An array that may be null: if version < N || l == 0 { a = []T{} }.
		if or, ok := s.Cond.(*ast.BinaryExpr); ok && or.Op == token.LOR && text(or.Y) == "l == 0" {
			never, err := u.cond(or.X)
			a.nullable = !never
			return true, err
		}
	case *ast.AssignStmt:
		return text(s) == "a = a[:0]", nil
	case *ast.ForStmt:
		if a.mem == 0 || text(s.Cond) != "i < l" {
			return false, fmt.Errorf("unexpected loop: %s", text(s.Cond))
		}
		kids, err := u.block(s.Body.List)
		if err != nil {
			return false, err
		}
		if kids == nil {
			kids = []node{}
		}
		a.kids = kids
		return true, nil
	}
	return false, fmt.Errorf("in an array: %s", text(s))
}

// madeElement returns T of a = append(a, make([]T, l)...).
func madeElement(s ast.Stmt) (string, bool) {
	as, ok := s.(*ast.AssignStmt)
	if !ok {
		return "", false
	}
	app, ok := as.Rhs[0].(*ast.CallExpr)
	if !ok || text(app.Fun) != "append" || len(app.Args) != 2 {
		return "", false
	}
	mk, ok := app.Args[1].(*ast.CallExpr)
	if !ok || text(mk.Fun) != "make" {
		return "", false
	}
	at, ok := mk.Args[0].(*ast.ArrayType)
	if !ok {
		return "", false
	}
	return text(at.Elt), true
}

func (u *unroller) stmt(s ast.Stmt) ([]node, error) {
	switch s := s.(type) {
	case *ast.BlockStmt:
		return u.block(s.List)
	case *ast.AssignStmt:
		return u.assign(s)
	case *ast.IfStmt:
		return u.ifStmt(s)
	case *ast.ForStmt:
		return u.tagLoop(s)
	}
	if reads(s) {
		return nil, fmt.Errorf("unknown statement: %s", text(s))
	}
	return nil, nil
}

// assign takes v := b.X(), isFlexible := ..., s.UnknownTags = ..., and what
// reads nothing.
func (u *unroller) assign(s *ast.AssignStmt) ([]node, error) {
	if text(s.Lhs[0]) == "isFlexible" {
		var err error
		u.flexible, err = u.cond(s.Rhs[0])
		return nil, err
	}
	if !reads(s) || text(s) == "b := kbin.Reader{Src: src}" {
		return nil, nil
	}
	if text(s.Rhs[0]) == "internalReadTags(&b)" {
		return []node{{kind: tags}}, nil
	}
	call, ok := s.Rhs[0].(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return nil, fmt.Errorf("unknown read: %s", text(s))
	}
	n, ok := primitives()[text(call.Fun)]
	if !ok {
		return nil, fmt.Errorf("unknown read: %s", text(s))
	}
	return []node{n}, nil
}

func primitives() map[string]node {
	return map[string]node{
		"b.Bool":                  {size: 1},
		"b.Int8":                  {size: 1},
		"b.Int16":                 {size: 2},
		"b.Uint16":                {size: 2},
		"b.Int32":                 {size: 4},
		"b.Int64":                 {size: 8},
		"b.Float64":               {size: 8},
		"b.Uuid":                  {size: 16},
		"b.String":                {kind: str},
		"b.NullableString":        {kind: str, nullable: true},
		"b.CompactString":         {kind: str, flexible: true},
		"b.CompactNullableString": {kind: str, flexible: true, nullable: true},
		"b.Bytes":                 {kind: byt},
		"b.NullableBytes":         {kind: byt, nullable: true},
		"b.CompactBytes":          {kind: byt, flexible: true},
		"b.CompactNullableBytes":  {kind: byt, flexible: true, nullable: true},
		"b.ArrayLen":              {kind: array},
		"b.CompactArrayLen":       {kind: array, flexible: true},
	}
}

func (u *unroller) ifStmt(s *ast.IfStmt) ([]node, error) {
	if s.Init != nil {
		switch text(s.Init) {
		case "present := b.Int8()":
			kids, err := u.block(s.Body.List)
			if err != nil {
				return nil, err
			}
			made := s.Body.List[0].(*ast.AssignStmt).Rhs[0].(*ast.CallExpr)
			mem := u.sizes[text(made.Args[0])]
			if mem == 0 {
				return nil, fmt.Errorf("unknown struct: %s", text(made))
			}
			return []node{{kind: optional, nullable: true, mem: mem, kids: kids}}, nil
		case "err := b.Complete()":
			return nil, nil
		}
		return nil, fmt.Errorf("unknown if: %s", text(s.Init))
	}
	yes, err := u.cond(s.Cond)
	if err != nil {
		return nil, err
	}
	if yes {
		return u.block(s.Body.List)
	}
	if s.Else != nil {
		return u.stmt(s.Else)
	}
	return nil, nil
}

// cond evaluates a condition for this version.
func (u *unroller) cond(e ast.Expr) (bool, error) {
	switch text(e) {
	case "isFlexible":
		return u.flexible, nil
	case "unsafe", "false":
		return false, nil
	}
	b, ok := e.(*ast.BinaryExpr)
	if !ok {
		return false, fmt.Errorf("unknown condition: %s", text(e))
	}
	if b.Op == token.LAND {
		x, err := u.cond(b.X)
		if err != nil || !x {
			return x, err
		}
		return u.cond(b.Y)
	}
	n, err := strconv.Atoi(text(b.Y))
	if err != nil || text(b.X) != "version" {
		return false, fmt.Errorf("unknown condition: %s", text(e))
	}
	switch v := int(u.version); b.Op {
	case token.GEQ:
		return v >= n, nil
	case token.LEQ:
		return v <= n, nil
	case token.LSS:
		return v < n, nil
	default:
		return false, fmt.Errorf("unknown condition: %s", text(e))
	}
}

// tagLoop takes the loop over tagged fields of a struct that knows some.
func (u *unroller) tagLoop(s *ast.ForStmt) ([]node, error) {
	if text(s.Init) != "i := b.Uvarint()" {
		return nil, fmt.Errorf("unknown loop: %s", text(s.Init))
	}
	sw, ok := s.Body.List[0].(*ast.SwitchStmt)
	if !ok || len(s.Body.List) != 1 || text(sw.Init) != "key := b.Uvarint()" {
		return nil, fmt.Errorf("unknown loop body: %s", text(s.Body))
	}
	n := node{kind: tags}
	for _, c := range sw.Body.List {
		c := c.(*ast.CaseClause)
		if c.List == nil {
			continue
		}
		num, err := strconv.Atoi(text(c.List[0]))
		if err != nil || text(c.Body[0]) != "b := kbin.Reader{Src: b.Span(int(b.Uvarint()))}" {
			return nil, fmt.Errorf("unknown tag: %s", text(c))
		}
		kids, err := u.block(c.Body[1:])
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, node{kind: tag, tag: num, kids: kids})
	}
	return []node{n}, nil
}

// reads says whether a piece of code touches the reader.
func reads(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == "b" {
			found = true
		}
		return !found
	})
	_, ret := n.(*ast.ReturnStmt)
	return found && !ret
}

// text prints a piece of code on one line.
func text(n ast.Node) string {
	if n == nil {
		return ""
	}
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil {
		return err.Error()
	}
	return b.String()
}
