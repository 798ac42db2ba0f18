package ratelimit

import "context"

type ownerKey struct{}

// For returns a context for work that is done for owner, an opaque name that is the same
// on every replica.
func For(ctx context.Context, owner string) context.Context {
	return context.WithValue(ctx, ownerKey{}, owner)
}

// OwnerOf returns whom the work is done for; "" is the service itself.
func OwnerOf(ctx context.Context) string {
	owner, _ := ctx.Value(ownerKey{}).(string)
	return owner
}
