package stripeclient

import (
	"bytes"
	"io"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient reads what encoding/json would, but names only as they are written. What
// Stripe says twice is taken as it was said last, and judged like that.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode reads an answer, once.
func decode(data []byte, into any) error { return json.Unmarshal(data, into, lenient) }

// maxKept is the capacity of the largest buffer that waits for another answer.
const maxKept = 64 << 10

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// take reads body to its end, and closes it.
func take(body io.ReadCloser, length int64) (*bytes.Buffer, error) {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	if 0 < length && length <= maxAnswer {
		// With room for one more look, which finds the end.
		b.Grow(int(length) + bytes.MinRead)
	}
	_, err := b.ReadFrom(body)
	if closing := body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		release(b)
		return nil, err
	}
	return b, nil
}

func release(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		buffers.Put(b)
	}
}
