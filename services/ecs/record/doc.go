// Package record is what ECS keeps: clusters, task definitions and tasks, each the
// shape of the API and what is ours besides. (Services are in
// services/ecs/rollout.) A task is made here, says here what it shows, and leads
// here to its containers and back.
package record
