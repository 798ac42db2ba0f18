package config

import "till/internal/secret"

// prepareDev sets what --dev has instead of the defaults.
func (l *loader) prepareDev() {
	if !l.Dev {
		return
	}
	l.doc.Stripe.APIBase = ""            // the program's sandbox
	l.doc.Database.URL = secret.Secret{} // a private one, gone at exit
	const text, fix = "a configuration file is given, and --dev has its own", "leave out one of the two"
	switch {
	case l.Path != "":
		l.refuse("", text, fix)
	case l.environ["TILL_CONFIG"] != "":
		l.refuse("TILL_CONFIG", text, fix)
	}
}
