package config_test

import (
	"strings"
	"testing"
	"time"

	"till/internal/config"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text, env string
		want      config.Audit
		problem   string
	}{
		{"{}", "", config.Audit{Mode: "async", Retention: 400 * 24 * time.Hour}, ""},
		{"{mode: sync, retention: 30d}", "", config.Audit{Mode: "sync", Retention: 30 * 24 * time.Hour}, ""},
		{"{mode: off, retention: 36h}", "", config.Audit{Mode: "off", Retention: 36 * time.Hour}, ""},
		{"{retention: 0}", "", config.Audit{Mode: "async"}, ""},
		{"{retention: 0d}", "", config.Audit{Mode: "async"}, ""},
		{"{retention: 1d}", "", config.Audit{Mode: "async", Retention: 24 * time.Hour}, ""},
		{"{mode: async}", "TILL_AUDIT_MODE=sync", config.Audit{Mode: "sync", Retention: 400 * 24 * time.Hour}, ""},
		{"{}", "TILL_AUDIT_RETENTION=7d", config.Audit{Mode: "async", Retention: 7 * 24 * time.Hour}, ""},
		{"{mode: later}", "", config.Audit{}, "audit.mode: is not one of the values"},
		{"{mode: ''}", "", config.Audit{}, "audit.mode: is not one of the values"},
		{"{retention: 23h}", "", config.Audit{}, "audit.retention: is too short"},
		{"{retention: -1d}", "", config.Audit{}, "audit.retention: is too short"},
		{"{retention: 400}", "", config.Audit{}, "audit.retention: must be a duration"},
		{"{retention: 1.5d}", "", config.Audit{}, "audit.retention: must be a duration"},
		{"{retention: 07d}", "", config.Audit{}, "audit.retention: must be a duration"},
		{"{retention: 9999999999999999999d}", "", config.Audit{}, "audit.retention: must be a duration"},
		{"{retention: 200000d}", "", config.Audit{}, "audit.retention: must be a duration"},
		{"{retention: d}", "", config.Audit{}, "audit.retention: must be a duration"},
	} {
		cfg, _, problems := load(t, minimal+portal+"audit: "+tc.text+"\n", tc.env)
		switch {
		case tc.problem == "" && (problems != nil || cfg.Audit != tc.want):
			t.Errorf("%s %s: got %+v, %v", tc.text, tc.env, cfg, problems)
		case tc.problem != "" && !strings.Contains(lines(problems), tc.problem):
			t.Errorf("%s %s: got %v", tc.text, tc.env, problems)
		}
	}
}
