// Reads documents as encoding/json does into structs, keys in any case included, and says what it read: see
// reading.rs for the form. The structs have the fields that servers written in Go have.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"sort"
	"strings"
)

type message struct {
	JSONRPC any         `json:"jsonrpc"`
	ID      any         `json:"id"`
	Method  any         `json:"method"`
	Params  *params     `json:"params"`
	Result  *result     `json:"result"`
	Error   *errorShape `json:"error"`
}

type params struct {
	Name            any       `json:"name"`
	Arguments       any       `json:"arguments"`
	URI             any       `json:"uri"`
	Cursor          any       `json:"cursor"`
	ProtocolVersion any       `json:"protocolVersion"`
	RequestID       any       `json:"requestId"`
	ProgressToken   any       `json:"progressToken"`
	TaskID          any       `json:"taskId"`
	Level           any       `json:"level"`
	RequestState    any       `json:"requestState"`
	Ref             *ref      `json:"ref"`
	Argument        *argument `json:"argument"`
	Meta            *meta     `json:"_meta"`
}

type ref struct {
	Type any `json:"type"`
	Name any `json:"name"`
	URI  any `json:"uri"`
}

type argument struct {
	Name  any `json:"name"`
	Value any `json:"value"`
}

type meta struct {
	ProgressToken any `json:"progressToken"`
	Version       any `json:"io.modelcontextprotocol/protocolVersion"`
	Capabilities  any `json:"io.modelcontextprotocol/clientCapabilities"`
}

type result struct {
	Content           any `json:"content"`
	StructuredContent any `json:"structuredContent"`
	IsError           any `json:"isError"`
	NextCursor        any `json:"nextCursor"`
	Tools             any `json:"tools"`
}

type errorShape struct {
	Code    any `json:"code"`
	Message any `json:"message"`
	Data    any `json:"data"`
}

// In the order of the fields in reading.rs.
func (m *message) fields() []any {
	p, r, e := m.Params, m.Result, m.Error
	if p == nil {
		p = &params{}
	}
	if r == nil {
		r = &result{}
	}
	if e == nil {
		e = &errorShape{}
	}
	about, completed, more := p.Ref, p.Argument, p.Meta
	if about == nil {
		about = &ref{}
	}
	if completed == nil {
		completed = &argument{}
	}
	if more == nil {
		more = &meta{}
	}
	return []any{
		m.JSONRPC, m.ID, m.Method,
		p.Name, p.Arguments, p.URI, p.Cursor, p.ProtocolVersion, p.RequestID, p.ProgressToken, p.TaskID, p.Level, p.RequestState,
		about.Type, about.Name, about.URI,
		completed.Name, completed.Value,
		more.ProgressToken, more.Version, more.Capabilities,
		r.Content, r.StructuredContent, r.IsError, r.NextCursor, r.Tools,
		e.Code, e.Message, e.Data,
	}
}

func value(to *strings.Builder, read any) {
	switch read := read.(type) {
	case nil:
		to.WriteString("n")
	case bool:
		if read {
			to.WriteString("t")
		} else {
			to.WriteString("f")
		}
	case string:
		to.WriteString("s" + hex.EncodeToString([]byte(read)))
	case float64:
		if read == 0 {
			read = 0
		}
		var bits [8]byte
		binary.BigEndian.PutUint64(bits[:], math.Float64bits(math.Abs(read)))
		if read < 0 {
			bits[0] |= 0x80
		}
		to.WriteString("d" + hex.EncodeToString(bits[:]))
	case []any:
		to.WriteString("[")
		for place, element := range read {
			if place > 0 {
				to.WriteString(",")
			}
			value(to, element)
		}
		to.WriteString("]")
	case map[string]any:
		keys := make([]string, 0, len(read))
		for key := range read {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		to.WriteString("{")
		for place, key := range keys {
			if place > 0 {
				to.WriteString(",")
			}
			to.WriteString(hex.EncodeToString([]byte(key)) + ":")
			value(to, read[key])
		}
		to.WriteString("}")
	}
}

func (m *message) text(to *strings.Builder) {
	for place, field := range m.fields() {
		if place > 0 {
			to.WriteString("|")
		}
		value(to, field)
	}
}

func reading(document []byte) (string, error) {
	var to strings.Builder
	if bytes.HasPrefix(bytes.TrimLeft(document, " \t\r\n"), []byte("[")) {
		var batch []*message
		if err := json.Unmarshal(document, &batch); err != nil {
			return "", err
		}
		to.WriteString("B")
		for place, one := range batch {
			if place > 0 {
				to.WriteString(";")
			}
			if one == nil {
				return "", errors.New("null in a batch")
			}
			one.text(&to)
		}
		return to.String(), nil
	}
	one := &message{}
	if err := json.Unmarshal(document, &one); err != nil {
		return "", err
	}
	if one == nil {
		return "", errors.New("null")
	}
	to.WriteString("M")
	one.text(&to)
	return to.String(), nil
}

func main() {
	source, sink := bufio.NewReaderSize(os.Stdin, 1<<16), bufio.NewWriter(os.Stdout)
	for {
		var head [5]byte
		if _, err := io.ReadFull(source, head[:]); err != nil {
			return
		}
		document := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(source, document); err != nil {
			return
		}
		answer, err := reading(document)
		if err != nil {
			answer = "-" + err.Error()
		}
		if head[0] == 'd' {
			if err != nil {
				answer = "-"
			} else {
				digest := sha256.Sum256([]byte(answer))
				answer = hex.EncodeToString(digest[:8])
			}
		}
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(answer)))
		sink.Write(length[:])
		sink.WriteString(answer)
		sink.Flush()
	}
}
