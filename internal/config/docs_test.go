package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"till/internal/config"
)

const page = "../../docs/configuration.md"

var settingsTable = regexp.MustCompile(`(?s)(<!-- settings: [^\n]*-->\n).*(<!-- end -->)`)

// TestThePageListsTheSettings keeps docs/configuration.md to what the program
// reads; -update writes it.
func TestThePageListsTheSettings(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("\n| variable | in the file | default | what |\n|---|---|---|---|\n")
	for _, s := range config.Describe() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Env, code(s.Path), code(s.Default), s.Help)
	}
	b.WriteString("\n")
	want := settingsTable.ReplaceAllString(string(have), "${1}"+strings.ReplaceAll(b.String(), "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(have) || !strings.Contains(want, "TILL_ADDR") {
		t.Error("docs/configuration.md differs from the settings: run go test ./internal/config -update")
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// TestTheExamplesAreRight loads what the documents tell people to copy.
func TestTheExamplesAreRight(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md shows no till.yaml")
	}
	example, err := os.ReadFile("../../deploy/till.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"README.md":                strings.ReplaceAll("\n"+string(block[1]), "\n   ", "\n"),
		"deploy/till.example.yaml": string(example),
	} {
		file := filepath.Join(t.TempDir(), "till.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := config.Load(config.Source{Path: file, Environ: []string{
			"STRIPE_SECRET_KEY=rk_test_123", "TILL_DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "till.db"),
		}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
