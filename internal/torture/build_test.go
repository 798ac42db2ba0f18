//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// built is the program under test, built once.
type built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var program built

func (b *built) get(ctx context.Context) (string, error) {
	b.once.Do(func() {
		if b.path = *prebuilt; b.path != "" {
			return
		}
		if b.dir, b.err = os.MkdirTemp("", "till-torture-"); b.err != nil {
			return
		}
		b.path = b.dir + "/till"
		args, env := []string{"build", "-o", b.path}, os.Environ()
		if *raceBuild {
			args, env = append(args, "-race"), append(env, "CGO_ENABLED=1")
		}
		cmd := exec.CommandContext(ctx, "go", append(args, "till/cmd/api")...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("building till: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

func (b *built) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}
