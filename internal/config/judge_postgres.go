package config

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const postgresExample = "write postgres://user:password@host/database" //nolint:gosec // an example, and nobody's password

// postgresURL is what the driver would make of a URL. Nothing of it is ever shown:
// where a password is not escaped, parts of it stand where a host is expected.
type postgresURL struct {
	user, database string
	hosts, ports   []string
	params         url.Values
}

// judgePostgres wants a URL that leads to one database as one user.
func (l *loader) judgePostgres(address string) {
	u, w := parsePostgres(address)
	if w == nil {
		w = u.judge()
	}
	if w != nil {
		l.rule(databaseKey, w.text, w.fix)
		return
	}
	if u.readable() {
		l.warn(databaseKey, "does not insist on an encrypted connection, and the server is on another machine: add ?sslmode=verify-full")
	}
}

// parsePostgres reads what net/url cannot: several hosts, each with its port.
func parsePostgres(address string) (u postgresURL, _ *wrong) {
	_, rest, _ := strings.Cut(address, "://")
	var password string
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		u.user, password, _ = strings.Cut(rest[:i], ":")
		rest = rest[i+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, database, _ := strings.Cut(rest, "/")
	if strings.Contains(rest, "@") {
		return u, &wrong{"has an @ too many", "escape what is special in the password: @ is %40, / is %2F, ? is %3F, # is %23, % is %25"}
	}
	params, err := parameters(query)
	for _, part := range []*string{&u.user, &password, &hosts, &database} {
		*part, err = unescaped(*part, err)
	}
	if err != nil || strings.ContainsFunc(address, isBlank) || strings.Contains(address, "%00") {
		return u, &wrong{"is not a URL", postgresExample + ", and escape what is special: % is %25"}
	}
	u.database, u.params = database, params
	for _, host := range strings.Split(hosts, ",") {
		name, port := splitPort(host)
		u.hosts, u.ports = append(u.hosts, name), append(u.ports, port)
	}
	return u, nil
}

// parameters is stricter than net/url, as the driver is.
func parameters(query string) (url.Values, error) {
	all := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if query != "" && (!ok || strings.Contains(value, "=")) {
			return nil, errors.New("not a name, = and a value")
		}
		name, err := unescaped(name, nil)
		value, err = unescaped(value, err)
		if err != nil {
			return nil, err
		}
		all.Add(name, value)
	}
	return all, nil
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func unescaped(text string, before error) (string, error) {
	if before != nil {
		return "", before
	}
	return url.PathUnescape(text)
}

// splitPort leaves the colons of an IPv6 address alone, which stands in brackets.
func splitPort(host string) (name, port string) {
	if !strings.HasPrefix(host, "[") {
		name, port, _ = strings.Cut(host, ":")
		return name, port
	}
	name, rest, closed := strings.Cut(host[1:], "]")
	if port, ok := strings.CutPrefix(rest, ":"); closed && (ok || rest == "") {
		return name, port
	}
	return "", ""
}

// judge returns the first thing that is wrong.
func (u *postgresURL) judge() *wrong {
	u.takeParams()
	switch {
	case u.user == "":
		return &wrong{"names no user", postgresExample}
	case u.database == "" || strings.ContainsRune(u.database, '/'):
		return &wrong{"names no database", postgresExample}
	case slices.Contains(u.hosts, ""):
		return &wrong{"names no host", postgresExample + ", or postgres:///database?host=/run/postgresql&user=user for a socket"}
	case slices.ContainsFunc(u.ports, isNoPort):
		return &wrong{"has a port that is not a number from 1 to 65535", postgresExample + ", and escape what is special in the password: : is %3A, / is %2F"}
	case len(u.ports) > 1 && len(u.ports) != len(u.hosts):
		return &wrong{"has more or fewer ports than hosts", "give each host its port, or all of them one"}
	case !u.is("sslmode", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
		return &wrong{"has an sslmode that does not exist", "write sslmode=verify-full"}
	case !u.is("target_session_attrs", "any", "read-write", "primary"):
		return &wrong{"asks for a server that cannot be written", "remove target_session_attrs"}
	case !u.isPositive("pool_max_conns"), !u.isPositive("connect_timeout"):
		return &wrong{"has a pool_max_conns or connect_timeout that is not a whole number above 0", "write such as pool_max_conns=10"}
	default:
		return nil
	}
}

// takeParams lets the parameters have the last word, as the driver does.
func (u *postgresURL) takeParams() {
	last := func(name string, into *string) {
		if all := u.params[name]; len(all) > 0 {
			*into = all[len(all)-1]
		}
	}
	var hosts, ports string
	last("user", &u.user)
	last("dbname", &u.database)
	last("host", &hosts)
	last("port", &ports)
	if hosts != "" {
		u.hosts, u.ports = strings.Split(hosts, ","), nil
	}
	if ports != "" {
		u.ports = strings.Split(ports, ",")
	}
}

func isNoPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port != "" && (err != nil || n == 0)
}

// is reports whether a parameter is absent or one of the values.
func (u *postgresURL) is(name string, values ...string) bool {
	return !slices.ContainsFunc(u.params[name], func(v string) bool { return !slices.Contains(values, v) })
}

func (u *postgresURL) isPositive(name string) bool {
	return !slices.ContainsFunc(u.params[name], func(v string) bool {
		n, err := strconv.ParseInt(v, 10, 32)
		return err != nil || n < 1
	})
}

// readable reports whether somebody between here and the server might read along.
func (u *postgresURL) readable() bool {
	isLocal := func(host string) bool {
		return strings.HasPrefix(host, "/") || slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host)
	}
	insists := u.params.Has("sslmode") && u.is("sslmode", "require", "verify-ca", "verify-full") || u.params.Get("sslrootcert") == "system"
	return !insists && slices.ContainsFunc(u.hosts, func(host string) bool { return !isLocal(host) })
}
