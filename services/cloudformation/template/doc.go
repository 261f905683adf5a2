// Package template reads CloudFormation templates: JSON or YAML with the
// positions of everything, sections, parameters, intrinsic functions, and the
// graph of what depends on what. It is pure: what a function needs of the world
// (the id of a resource, the zones of a region) it asks of an Env.
//
// The errors are CloudFormation's sentences; the service sends them as
// ValidationError.
package template
