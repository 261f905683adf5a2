package secretsmanager

import "minato/controller"

// Deletion is the reconciler, to be run by hand.
func (s *Service) Deletion() controller.Reconciler { return &deletion{s} }
