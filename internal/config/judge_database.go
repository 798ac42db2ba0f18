package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const databaseKey = "database.url"

func (l *loader) judgeDatabase() Database {
	address := l.doc.Database.URL.Reveal()
	path, sqlite := strings.CutPrefix(address, "sqlite://")
	switch {
	case address == "" && l.Dev:
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		l.judgePostgres(address)
	case !sqlite || path == "" || strings.ContainsAny(path, "?#\x00") || strings.Contains(path, ":memory:"):
		l.rule(databaseKey, "is not sqlite:// and the path of a file, and no Postgres database",
			"write sqlite://till.db, or sqlite:///var/lib/till/till.db, or postgres://user:password@host/database")
	default:
		l.judgeFile(path)
	}
	return Database{URL: l.doc.Database.URL}
}

// judgeFile wants a folder in which SQLite can create its file and the two beside it.
func (l *loader) judgeFile(path string) {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.rule(databaseKey, "the folder of the database does not exist", "create the folder, or name another path")
		return
	case err != nil || !info.IsDir():
		l.rule(databaseKey, "the folder of the database is not a folder that can be read", "name another path")
		return
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		l.rule(databaseKey, "is a folder", "add the name of a file in it")
	} else if !writable(folder) || err == nil && !openable(path) {
		l.rule(databaseKey, "the database or its folder cannot be written by this user", "give this user the right to write there")
	}
	if l.doc.Limits.Replicas > 1 {
		l.warn(databaseKey, "is a file, and limits.replicas says that several processes run: they must be on one host; where they are not, use postgres://")
	}
	if name := unsafeFilesystem(folder); name != "" {
		l.warn(databaseKey, "is on "+name+": customers can be lost or created twice after a crash; use a local disk")
	}
}

// writable tries it: permission bits say nothing of read-only mounts, or of root.
func writable(folder string) bool {
	probe, err := os.CreateTemp(folder, ".till-probe-*")
	if err != nil {
		return false
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name())) == nil
}

func openable(path string) bool {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return file.Close() == nil
}
