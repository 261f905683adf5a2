// Package logs serves CloudWatch Logs: log groups and streams, their events,
// filter patterns, retention and tags.
//
//	logs/group/<account>/<region>/<name>            log group
//	logs/stream/<account>/<region>/<group id>/<name> log stream
//
// Events are not records of the store but lie in append-only segments
// (dataplane/segments): one log a group, named by the group's id; one series a
// stream, named by the stream's id. Because ids are never used twice, a stream
// that is deleted and made again does not show its former events, and a crash
// between the deletion of a group and of its events leaves only an orphan that
// the reconciler sweeps.
//
// PutLogEvents returns when the events are on disk. A stream's times
// (firstEventTimestamp …) are written after that; a crash in between leaves
// them behind by one batch, which AWS's "eventually consistent" allows.
//
// The ECS log driver has no private way in: it calls CreateLogStream and
// PutLogEvents as anybody does, under the task's execution role.
//
// Metric filters count the events of a batch once it is stored, and give
// CloudWatch the values as logs.amazonaws.com; a crash in between loses them, and
// nothing counts an event twice.
//
// Not here: Logs Insights queries, subscription filters, exports, live tail,
// KMS keys, log classes other than STANDARD, deletion protection.
package logs
