// Package applicationautoscaling serves Application Auto Scaling for services of
// ECS: scalable targets, target tracking, step scaling, scheduled actions.
//
//	applicationautoscaling/target/<account>/<region>/<resource>            scalable target, with the change under way
//	applicationautoscaling/policy/<account>/<region>/<resource>/<name>     scaling policy, with its last scaling
//	applicationautoscaling/scheduled/<account>/<region>/<resource>/<name>  scheduled action, with when it ran
//	applicationautoscaling/activity/<account>/<region>/<resource>/<id>     scaling activities, for six weeks
//
// One reconciler a target, woken by the alarms' changes and once a minute:
//
//	alarms' states, metrics ─┐
//	target, policies, time ──┼─► plan (pure) ─► a change: from, to, cause
//	the service's count ─────┘                    │ one transaction: target.Change, activity InProgress, policy.Last
//	                                              ▼
//	                     ecs:UpdateService ──► the service has as many ──► activity Successful
//
// It acts under its service-linked role for ECS, through the APIs of CloudWatch
// and ECS as anybody would. A policy of target tracking keeps its two alarms in
// CloudWatch (TargetTracking-service/…-AlarmHigh-…); those of step scaling are
// the customer's, whose actions name the policy.
//
// Time: cool-downs and the minute between two looks are waits, so --pace divides
// them. The alarms that target tracking makes look at three minutes before they
// scale out and at fifteen before they scale in; their periods are divided by the
// pace too, down to CloudWatch's shortest, ten seconds, with thresholds of sums in
// proportion; from there on it is their number that is. Schedules are the
// calendar's and are not paced.
//
// Not here, and refused by name: other namespaces than ecs, predictive scaling,
// forecasts, high-resolution metrics, target tracking of several metrics.
package applicationautoscaling
