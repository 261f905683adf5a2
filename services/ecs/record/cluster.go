package record

import ecsapi "minato/aws/api/ecs"

// Cluster is a cluster; its counts are counted when it is shown.
type Cluster struct {
	ecsapi.Cluster
}
