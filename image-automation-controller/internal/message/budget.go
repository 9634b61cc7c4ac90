// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"text/template"
	"text/template/parse"
	"time"
)

const (
	// maxWork bounds the bytes that all functions of one execution read and make, and so what it can hold in memory. A step
	// of a loop or a call counts stepCost.
	maxWork  = 32 << 20
	stepCost = 512
	// maxValue bounds one value, by weight.
	maxValue = 1 << 20
	// maxTime ends an execution between two steps.
	maxTime = 10 * time.Second
)

// limitError says which bound a template exceeds. It is stable.
type limitError struct{ text string }

func (e *limitError) Error() string { return "the template is too costly: " + e.text }

// budget is what one execution may use.
type budget struct {
	left     int64
	deadline time.Time
}

func newBudget() *budget { return &budget{left: maxWork, deadline: time.Now().Add(maxTime)} }

// spend takes the cost of a step and weight from the budget.
func (b *budget) spend(weight int64) error {
	if b.left -= stepCost + weight; b.left < 0 {
		return &limitError{fmt.Sprintf("its loops and functions handle more than %d bytes", int64(maxWork))}
	}
	if time.Now().After(b.deadline) {
		return &limitError{fmt.Sprintf("it runs for more than %s", maxTime)}
	}
	return nil
}

const (
	tickName  = "__tick"
	printName = "__print"
)

// tick is called in each turn of a loop and at the start of each template.
func (b *budget) tick() (string, error) { return "", b.spend(0) }

// print is what each printed value goes through: text/template would format it whole, however large it is.
func (b *budget) print(v any) (any, error) { return v, b.weigh(v) }

// meter inserts calls of tick and print into all templates.
func meter(t *template.Template) error {
	snippet, err := template.New("meter").Funcs(new(budget).functions()).Parse("{{" + tickName + "}}{{0 | " + printName + "}}")
	if err != nil {
		return err
	}
	m := meterer{tick: snippet.Root.Nodes[0]}
	if action, ok := snippet.Root.Nodes[1].(*parse.ActionNode); ok {
		m.print = action.Pipe.Cmds[1]
	}
	for _, each := range t.Templates() {
		if each.Tree == nil || each.Root == nil {
			continue
		}
		m.list(each.Root)
		m.prepend(each.Root)
	}
	return nil
}

type meterer struct {
	tick  parse.Node
	print *parse.CommandNode
}

func (m meterer) prepend(l *parse.ListNode) {
	l.Nodes = append([]parse.Node{m.tick.Copy()}, l.Nodes...)
}

func (m meterer) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, node := range l.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if last, ok := m.print.Copy().(*parse.CommandNode); ok && len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, last)
			}
		case *parse.IfNode:
			m.list(n.List)
			m.list(n.ElseList)
		case *parse.WithNode:
			m.list(n.List)
			m.list(n.ElseList)
		case *parse.RangeNode:
			m.list(n.List)
			m.list(n.ElseList)
			m.prepend(n.List)
		}
	}
}
