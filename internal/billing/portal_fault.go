package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"till/internal/catalog"
	"till/internal/problem"
)

// PortalConfiguration is what Stripe lets customers do in the portal, as far as it
// matters here.
type PortalConfiguration struct {
	ID     string
	Active bool
	// Features are Stripe's names of them, and whether each is enabled.
	Features map[string]bool
}

// PortalConfigurations reads portal configurations from Stripe.
type PortalConfigurations interface {
	// PortalConfiguration reads one, or the account's active default one for "". An
	// error that satisfies catalog.IsMissing says that there is none.
	PortalConfiguration(ctx context.Context, id string) (PortalConfiguration, error)
}

// RefusedError is implemented by errors that say Stripe understood the call and said no.
type RefusedError interface {
	error
	Refused() bool
}

func isRefused(err error) bool {
	e, ok := errors.AsType[RefusedError](err)
	return ok && e.Refused()
}

// explainPortal turns Stripe's refusal into what the caller can know, if the caller can
// do anything about it, and into what the operator has to do otherwise.
func (s *Service) explainPortal(ctx context.Context, err error, ask portalAsk) error {
	param := paramOf(err)
	pointer := flowPointer(param)
	switch {
	case !isRefused(err):
		return err
	case pointer == "/flow/items/0/price" && catalog.IsMissing(err):
		return problem.New(problem.PlanUnavailable, err)
	case pointer != "":
		return &problem.Error{
			Code: problem.ValidationFailed, Err: err,
			Fields: []problem.Field{{Pointer: pointer, Detail: "cannot be used for this flow"}},
		}
	case strings.HasPrefix(param, "flow_data"):
		return unconfigured(err, "the portal configuration of portals.%s at Stripe does not allow the flow %s: "+
			"enable %s there, or take the flow out of the portal's flows", ask.portal.Name, ask.flow.kind, catalog.FlowFeature(ask.flow.kind))
	case param == "configuration":
		return unconfigured(err, "portals.%s.params.configuration names a portal configuration that this Stripe account "+
			"does not have, or that is not active: name one that is", ask.portal.Name)
	case param == "" && ask.portal.Configuration() == "":
		return s.explainDefault(ctx, err, ask.portal)
	default:
		return err
	}
}

// explainDefault asks Stripe whether the account has a default configuration at all:
// the refusal of an account without one has no code, and its text has changed before.
func (s *Service) explainDefault(ctx context.Context, refusal error, portal catalog.Portal) error {
	_, err := s.o.Stripe.PortalConfiguration(ctx, "")
	switch {
	case catalog.IsMissing(err):
		return unconfigured(refusal, "%s", noDefault(portal))
	case err != nil:
		return problem.New(problem.UpstreamError,
			fmt.Errorf("%w (%s? whether it has could not be read: %w)", refusal, noDefault(portal), err))
	default:
		return refusal
	}
}

func noDefault(portal catalog.Portal) string {
	return fmt.Sprintf("this Stripe account has no default portal configuration in this mode: save the customer portal's settings "+
		"in the Dashboard (in test mode and in live mode each), or name a configuration as portals.%s.params.configuration", portal.Name)
}

// unconfigured is a portal that cannot be opened before the operator has done something.
func unconfigured(cause error, format string, args ...any) error {
	return &problem.Error{
		Code: problem.DependencyUnavailable, RetryAfter: time.Minute,
		Err: fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), cause),
	}
}
