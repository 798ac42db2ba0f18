package config

import (
	"os"
	"runtime"
	"strings"
)

// secret returns the value of a secret setting and the variable it comes from:
// the variable itself, or the file that the variable with _FILE names.
func (l *loader) secret(name string) (value, variable string) {
	direct, fileVariable := l.environ[name], name+"_FILE"
	path := l.environ[fileVariable]
	if path == "" {
		return direct, name
	}
	data, err := l.ReadFile(path)
	if err != nil {
		l.refuse(fileVariable, "names a file that cannot be read: "+reason(err), "name a file that exists and that this user may read")
		l.spoil(name)
		return direct, name
	}
	l.warnWorldReadable(fileVariable, path)
	text := strings.TrimRight(string(data), "\r\n")
	switch {
	case text == "":
		l.refuse(fileVariable, "names an empty file", "write the secret into it")
		l.spoil(name)
	case direct != "" && direct != text:
		l.refuse(name, "has another value than the file that "+fileVariable+" names", "keep one of the two")
	}
	return text, fileVariable
}

func (l *loader) warnWorldReadable(variable, path string) {
	info, err := os.Stat(path)
	// Windows has no such permission bits; Go reports them as set.
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
		l.warn(variable, "names a file that every user of this machine may read; chmod o-r it")
	}
}
