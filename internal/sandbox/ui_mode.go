package sandbox

import "slices"

// The spellings of ui_mode: stored and up to 2026-03-25, and from then on.
var (
	oldUIModes = []string{"hosted", "embedded", "custom"}
	newUIModes = []string{"hosted_page", "embedded_page", "elements"}
)

// uiModes returns the spellings that an API version knows.
func uiModes(version string) []string {
	if version >= "2026-03-25" {
		return newUIModes
	}
	return oldUIModes
}

// readUIMode returns the stored spelling of the request's ui_mode.
func (c *call) readUIMode() (string, error) {
	spellings := uiModes(c.version)
	at := slices.Index(spellings, orElse(c.params.str("ui_mode"), spellings[0]))
	if at < 0 {
		return "", notOneOf("ui_mode", spellings)
	}
	return oldUIModes[at], nil
}

// spellUIMode writes a stored ui_mode as the version has it.
func spellUIMode(stored, version string) string {
	return uiModes(version)[max(0, slices.Index(oldUIModes, stored))]
}
