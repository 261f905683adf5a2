// Package ecs is Amazon ECS: clusters, task definitions, tasks and services, on
// Fargate. Tasks are containers of dataplane/container in a network interface of
// services/ec2; images come out of services/ecr, logs go to services/logs. All of
// them are reached through their API, under the identity that AWS would use: the
// service-linked role of ECS for network interfaces, the task's execution role for
// images and logs.
//
// Images of other registries come by Images, over the task's own interface, with
// the login of repositoryCredentials if there is one. Secrets of containers are
// got as the execution role, over the same interface (services/ecs/secrets), when
// the task is prepared; they are in memory until its containers are made, and in
// no record.
//
// Not here: container instances. The EC2 and EXTERNAL launch types do what they
// do on AWS in a cluster without instances: RunTask fails, a service waits.
//
// A service is one record too (services/ecs/rollout). Its reconciler
// (reconcile_service.go) asks the planner in services/ecs/deploy what to do;
// where traffic is shifted and not rolled, services/ecs/shift says when. What it
// led to is kept in service revisions and service deployments
// (services/ecs/revision).
//
// A task is one record (services/ecs/record). Operations write what is wanted
// (that it is there, or a Stop); the reconciler (reconcile_task.go) looks at the
// record, the interface and the containers, asks the planner in services/ecs/life
// for the next step, takes it, writes down what it saw, and goes on until there
// is nothing to do:
//
//	            interface made       images there,          all containers
//	            and real             log streams made       started
//	PROVISIONING ------> PENDING ----------------> PENDING -----> ACTIVATING -> RUNNING
//	     |                 |                         |                             |
//	     '-----------------'-- failed, or StopTask --'--- essential container ended'
//	                                    |
//	                                    v
//	                            DEACTIVATING -> STOPPING -> DEPROVISIONING -> STOPPED
//	                                            signals,     interface         kept for
//	                                            last logs    goes              an hour
//
// A container that runs outlives the daemon and containerd; after a restart the
// same steps go on from what is there.
package ecs
