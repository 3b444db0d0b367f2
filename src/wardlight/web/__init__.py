"""The HTTP application: routes, middleware, errors, health."""
