// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"helm.sh/helm/v3/pkg/chartutil"
)

// tree is values on their way between processes. Templates can tell the types of
// numbers apart and nil from nothing, so they arrive as they are.
type tree map[string]any

// Kinds of values, each before its content.
const (
	tagNil    = 'n'
	tagTrue   = 't'
	tagFalse  = 'f'
	tagFloat  = 'd'
	tagInt    = 'i'
	tagInt64  = 'l'
	tagNumber = 'N'
	tagString = 's'
	tagList   = '['
	tagTable  = '{'
)

var errTree = errors.New("the values are cut off")

// GobEncode implements gob.GobEncoder.
func (t tree) GobEncode() ([]byte, error) { return appendTable(nil, t) }

// GobDecode implements gob.GobDecoder.
func (t *tree) GobDecode(data []byte) error {
	r := treeReader{rest: data}
	value, err := r.value()
	if err != nil {
		return err
	}
	table, ok := value.(map[string]any)
	if !ok {
		return errTree
	}
	*t = table
	return nil
}

func appendTable(out []byte, table map[string]any) ([]byte, error) {
	out = binary.AppendUvarint(append(out, tagTable), uint64(len(table)))
	for key, value := range table {
		var err error
		if out, err = appendValue(appendText(out, key), value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendText(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

func appendValue(out []byte, in any) ([]byte, error) {
	switch value := in.(type) {
	case nil:
		return append(out, tagNil), nil
	case bool:
		if value {
			return append(out, tagTrue), nil
		}
		return append(out, tagFalse), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(out, tagFloat), math.Float64bits(value)), nil
	case int:
		return binary.AppendVarint(append(out, tagInt), int64(value)), nil
	case int64:
		return binary.AppendVarint(append(out, tagInt64), value), nil
	case json.Number:
		return appendText(append(out, tagNumber), value.String()), nil
	case string:
		return appendText(append(out, tagString), value), nil
	case []any:
		return appendList(out, value)
	case map[string]any:
		return appendTable(out, value)
	case chartutil.Values:
		return appendTable(out, value)
	}
	return appendOther(out, in)
}

func appendList(out []byte, list []any) ([]byte, error) {
	out = binary.AppendUvarint(append(out, tagList), uint64(len(list)))
	for _, value := range list {
		var err error
		if out, err = appendValue(out, value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendOther is for what values do not hold when they come from YAML or JSON.
func appendOther(out []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("a value is a %T: %w", value, err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, fmt.Errorf("a value is a %T: %w", value, err)
	}
	return appendValue(out, plain)
}

// treeReader reads what appendTable has written.
type treeReader struct{ rest []byte }

func (r *treeReader) value() (any, error) {
	if len(r.rest) == 0 {
		return nil, errTree
	}
	tag := r.rest[0]
	r.rest = r.rest[1:]
	switch tag {
	case tagNil:
		return nil, nil
	case tagTrue, tagFalse:
		return tag == tagTrue, nil
	case tagFloat:
		bits, err := r.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(bits)), nil
	case tagInt, tagInt64:
		return r.integer(tag)
	case tagNumber:
		text, err := r.text()
		return json.Number(text), err
	case tagString:
		return r.text()
	case tagList:
		return r.list()
	case tagTable:
		return r.table()
	}
	return nil, errTree
}

func (r *treeReader) integer(tag byte) (any, error) {
	value, size := binary.Varint(r.rest)
	if size <= 0 {
		return nil, errTree
	}
	r.rest = r.rest[size:]
	if tag == tagInt {
		return int(value), nil
	}
	return value, nil
}

// count reads how many there are of something that takes a byte at least.
func (r *treeReader) count() (int, error) {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)-size) {
		return 0, errTree
	}
	r.rest = r.rest[size:]
	return int(n), nil
}

func (r *treeReader) take(n int) ([]byte, error) {
	if n > len(r.rest) {
		return nil, errTree
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken, nil
}

func (r *treeReader) text() (string, error) {
	n, err := r.count()
	if err != nil {
		return "", err
	}
	text, err := r.take(n)
	return string(text), err
}

func (r *treeReader) list() (any, error) {
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = r.value(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *treeReader) table() (any, error) {
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	table := make(map[string]any, n)
	for range n {
		key, err := r.text()
		if err != nil {
			return nil, err
		}
		if table[key], err = r.value(); err != nil {
			return nil, err
		}
	}
	return table, nil
}
