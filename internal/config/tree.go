package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file: a configuration of a megabyte is a mistake.
const maxFile = 1 << 20

// parse returns the root of the only document in data; nil for an empty file.
// The problem, if any, has a line at most.
func parse(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxFile {
		return nil, &Problem{Text: "is larger than 1 MiB", Fix: "remove what does not belong into it"}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntax(err)
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return first.Content[0], nil
	case err != nil:
		return nil, syntax(err)
	default:
		return nil, &Problem{Line: second.Line, Column: second.Column, Text: "holds several YAML documents", Fix: "keep one, and remove the line ---"}
	}
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntax takes the parser's message apart: "yaml: line 3: did not find …".
func syntax(err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := &Problem{Fix: "correct the YAML at this place; indentation is by spaces"}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column = 1
		text = strings.Replace(text, m[0], "", 1)
	}
	p.Text = "is not YAML: " + text
	return p
}
