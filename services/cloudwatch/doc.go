// Package cloudwatch serves CloudWatch: metrics, alarms and dashboards.
//
//	cloudwatch/alarm/<account>/<region>/<name>   metric and composite alarms
//	cloudwatch/dashboard/<account>/<name>        dashboards
//
// Metrics are no records of the store: samples lie in append-only segments
// (dataplane/metrics), as does the history of the alarms. PutMetricData returns
// when the samples are on disk. They are kept for 15 days as they came; AWS keeps
// coarser statistics for 455.
//
// An alarm's life:
//
//	PutMetricAlarm ──► INSUFFICIENT_DATA ◄──► OK ◄──► ALARM
//	                     "Unchecked: Initial alarm creation"
//
// A reconciler evaluates each alarm at the end of each of its periods (of each
// minute, when they are longer) and in between, because samples come late. It
// reads what is there and a pure plan says the state (plan_alarm.go). A change of
// state is one transaction: the state and what is to be done about it - lines of
// history, actions - which the reconciler then does and takes off the record; a
// crash in between does them again, never not.
//
// Time: an alarm's periods are data, so they are real under --pace too: three
// periods of a minute are three minutes, and a state of SetAlarmState stays until
// the end of a period, when the next evaluation takes it back. Paced is only how
// often alarms are looked at in between.
//
// Actions: a scaling policy of Application Auto Scaling is told. Everything else
// (SNS topics, Lambda functions, EC2 actions …) is taken into the alarm, as on
// AWS, and fails when its time comes: the history says so and why.
//
// Spoken in CloudWatch's three protocols: RPC v2 CBOR, JSON 1.0 and query.
//
// Not here, and refused by name: SEARCH, anomaly detection, Metrics Insights and
// PromQL, suppressors of composite alarms, alarms on other accounts' metrics,
// metric streams, insight rules, mute rules, GetMetricWidgetImage.
package cloudwatch
