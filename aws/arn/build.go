package arn

import "strings"

// ECSCluster is the ARN of an ECS cluster.
func (p Place) ECSCluster(name string) string { return p.Of("ecs", "cluster/"+name) }

// ECSService is the ARN of an ECS service, in the form with the cluster.
func (p Place) ECSService(cluster, name string) string {
	return p.Of("ecs", "service/"+cluster+"/"+name)
}

// ECSTask is the ARN of a task.
func (p Place) ECSTask(cluster, id string) string { return p.Of("ecs", "task/"+cluster+"/"+id) }

// ECSContainer is the ARN of a container of a task.
func (p Place) ECSContainer(cluster, task, id string) string {
	return p.Of("ecs", "container/"+cluster+"/"+task+"/"+id)
}

// ECSTaskDefinition is the ARN of a task definition's revision.
func (p Place) ECSTaskDefinition(family, revision string) string {
	return p.Of("ecs", "task-definition/"+family+":"+revision)
}

// ECRRepository is the ARN of an ECR repository.
func (p Place) ECRRepository(name string) string { return p.Of("ecr", "repository/"+name) }

// LoadBalancer is the ARN of a load balancer; kind is "app" or "net".
func (p Place) LoadBalancer(kind, name, id string) string {
	return p.Of("elasticloadbalancing", "loadbalancer/"+kind+"/"+name+"/"+id)
}

// TargetGroup is the ARN of a target group.
func (p Place) TargetGroup(name, id string) string {
	return p.Of("elasticloadbalancing", "targetgroup/"+name+"/"+id)
}

// Listener is the ARN of a listener.
func (p Place) Listener(kind, name, lb, id string) string {
	return p.Of("elasticloadbalancing", "listener/"+kind+"/"+name+"/"+lb+"/"+id)
}

// ListenerRule is the ARN of a listener's rule.
func (p Place) ListenerRule(kind, name, lb, listener, id string) string {
	return p.Of("elasticloadbalancing", "listener-rule/"+kind+"/"+name+"/"+lb+"/"+listener+"/"+id)
}

// EC2 is the ARN of an EC2 resource: EC2("vpc", "vpc-…").
func (p Place) EC2(kind, id string) string { return p.Of("ec2", kind+"/"+id) }

// DBInstance is the ARN of a DB instance.
func (p Place) DBInstance(name string) string { return p.Of("rds", "db:"+name) }

// DBSubnetGroup is the ARN of a DB subnet group.
func (p Place) DBSubnetGroup(name string) string { return p.Of("rds", "subgrp:"+name) }

// DBParameterGroup is the ARN of a DB parameter group.
func (p Place) DBParameterGroup(name string) string { return p.Of("rds", "pg:"+name) }

// DBSnapshot is the ARN of a DB snapshot.
func (p Place) DBSnapshot(name string) string { return p.Of("rds", "snapshot:"+name) }

// User is the ARN of a user; the path begins and ends with a slash.
func (p Place) User(path, name string) string { return p.global("iam", "user"+path+name) }

// Role is the ARN of a role; the path begins and ends with a slash.
func (p Place) Role(path, name string) string { return p.global("iam", "role"+path+name) }

// Policy is the ARN of a customer's policy; the path begins and ends with a slash.
func (p Place) Policy(path, name string) string { return p.global("iam", "policy"+path+name) }

// InstanceProfile is the ARN of an instance profile; the path begins and ends with a slash.
func (p Place) InstanceProfile(path, name string) string {
	return p.global("iam", "instance-profile"+path+name)
}

// AssumedRole is the ARN of a role's session.
func (p Place) AssumedRole(role, session string) string {
	return p.global("sts", "assumed-role/"+role+"/"+session)
}

// LogGroup is the ARN of a log group, without the ":*" that some answers append.
func (p Place) LogGroup(name string) string { return p.Of("logs", "log-group:"+name) }

// LogStream is the ARN of a log stream.
func (p Place) LogStream(group, name string) string {
	return p.Of("logs", "log-group:"+group+":log-stream:"+name)
}

// Secret is the ARN of a secret; the name ends with its six random characters.
func (p Place) Secret(name string) string { return p.Of("secretsmanager", "secret:"+name) }

// Parameter is the ARN of a parameter of Systems Manager's Parameter Store.
func (p Place) Parameter(name string) string {
	return p.Of("ssm", "parameter/"+strings.TrimPrefix(name, "/"))
}

// Stack is the ARN of a stack, its stack id.
func (p Place) Stack(name, id string) string { return p.Of("cloudformation", "stack/"+name+"/"+id) }

// ChangeSet is the ARN of a change set.
func (p Place) ChangeSet(name, id string) string {
	return p.Of("cloudformation", "changeSet/"+name+"/"+id)
}

// Environment is the ARN of a Cloud9 environment.
func (p Place) Environment(id string) string { return p.Of("cloud9", "environment:"+id) }

// Bucket is the ARN of an S3 bucket; it has neither region nor account, since
// bucket names are the partition's.
func (p Place) Bucket(name string) string { return Place{Partition: p.Partition}.Of("s3", name) }

// Object is the ARN of an object of a bucket.
func (p Place) Object(bucket, key string) string { return p.Bucket(bucket + "/" + key) }

// Root is the ARN of the account itself.
func (p Place) Root() string { return p.global("iam", "root") }

// Certificate is the ARN of a certificate of ACM.
func (p Place) Certificate(id string) string { return p.Of("acm", "certificate/"+id) }

// ServerCertificate is the ARN of a certificate of IAM; the path begins and ends with a slash.
func (p Place) ServerCertificate(path, name string) string {
	return p.global("iam", "server-certificate"+path+name)
}
