package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Expand, then contract: a migration only adds what binaries of before can leave
// alone, and what nobody uses any more goes a version later. Each runs in a
// transaction, in which it is also noted, so that it is there whole or not at all.
//
//go:embed migrations
var migrations embed.FS

func provider(db *sql.DB, dialect goose.Dialect, folder string) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
}

// versionsOf is read only, unlike the library's own look, which makes its table.
func versionsOf(ctx context.Context, db *sql.DB, dialect goose.Dialect, folder string) (applied, newest int64, err error) {
	p, err := provider(db, dialect, folder)
	if err != nil {
		return 0, 0, err
	}
	sources := p.ListSources()
	newest = sources[len(sources)-1].Version
	noted, err := database.NewStore(dialect, goose.DefaultTablename)
	if err != nil {
		return 0, 0, err
	}
	if table, ok := noted.(database.StoreExtender); ok {
		exists, err := table.TableExists(ctx, db)
		if errors.Is(err, errors.ErrUnsupported) { // SQLite: a file is migrated when it is opened
			exists, err = true, nil
		}
		if err != nil || !exists {
			return 0, newest, err
		}
	}
	applied, err = noted.GetLatestVersion(ctx, db)
	if errors.Is(err, database.ErrVersionNotFound) {
		err = nil
	}
	return applied, newest, err
}
