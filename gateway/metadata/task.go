package metadata

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"minato/aws/identity"
)

// Task is what version 4 of the task metadata says about a task. Times that
// have not come are nil and left out, as on AWS.
type Task struct {
	Cluster               string
	TaskARN               string
	Family                string
	Revision              string
	ServiceName           string `json:",omitempty"`
	DesiredStatus         string
	KnownStatus           string
	Limits                *Limits           `json:",omitempty"`
	PullStartedAt         *time.Time        `json:",omitempty"`
	PullStoppedAt         *time.Time        `json:",omitempty"`
	ExecutionStoppedAt    *time.Time        `json:",omitempty"`
	AvailabilityZone      string            `json:",omitempty"`
	LaunchType            string            `json:",omitempty"`
	VPCID                 string            `json:",omitempty"` // on EC2 only
	TaskTags              map[string]string `json:"-"`          // shown by taskWithTags
	Containers            []Container
	FaultInjectionEnabled bool
}

// Container is a container of a Task.
type Container struct {
	MetadataID    string `json:"-"` // what its ECS_CONTAINER_METADATA_URI_V4 ends with
	DockerID      string `json:"DockerId"`
	Name          string
	DockerName    string
	Image         string
	ImageID       string
	Labels        map[string]string
	DesiredStatus string
	KnownStatus   string
	ExitCode      *int `json:",omitempty"`
	Limits        Limits
	CreatedAt     *time.Time        `json:",omitempty"`
	StartedAt     *time.Time        `json:",omitempty"`
	FinishedAt    *time.Time        `json:",omitempty"`
	Type          string            // NORMAL
	Health        *Health           `json:",omitempty"`
	LogDriver     string            `json:",omitempty"`
	LogOptions    map[string]string `json:",omitempty"`
	ContainerARN  string
	Networks      []TaskNetwork
	Snapshotter   string `json:",omitempty"`
	Restarts      *int   `json:"RestartCount,omitempty"` // of one with a restart policy
}

// Limits are a task's (CPUs and MiB) or a container's (CPU units and MiB).
type Limits struct {
	CPU    float64
	Memory int64 `json:",omitempty"`
}

// Health is the outcome of a container's health check.
type Health struct {
	Status   string     `json:"status"`
	Since    *time.Time `json:"statusSince,omitempty"`
	ExitCode *int       `json:"exitCode,omitempty"`
	Output   string     `json:"output,omitempty"`
}

// TaskNetwork is a container's place in the VPC.
type TaskNetwork struct {
	NetworkMode              string // awsvpc
	IPv4Addresses            []string
	AttachmentIndex          int
	MACAddress               string
	IPv4SubnetCIDRBlock      string
	DomainNameServers        []string
	DomainNameSearchList     []string `json:",omitempty"`
	PrivateDNSName           string
	SubnetGatewayIpv4Address string
}

// Credentials are temporary keys of a role.
type Credentials struct {
	RoleARN         string
	AccessKeyID     string
	SecretAccessKey string
	Token           string
	Expiration      time.Time
	LastUpdated     time.Time
	// Caller is who calls with the keys; not told to whom they are given.
	Caller identity.Caller
}

// TaskHandler answers at 169.254.170.2 of a VPC.
func (s *Server) TaskHandler(vpc string) http.Handler {
	mux := http.NewServeMux()
	with := func(f func(w http.ResponseWriter, r *http.Request, eni string)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if eni, ok := s.caller(w, r, vpc); ok {
				f(w, r, eni)
			}
		}
	}
	mux.HandleFunc("GET /v2/credentials", with(s.credentials))
	mux.HandleFunc("GET /v2/credentials/{id}", with(s.credentials))
	for _, v := range []string{"v3", "v4"} {
		mux.HandleFunc("GET /"+v+"/{id}", with(s.container))
		mux.HandleFunc("GET /"+v+"/{id}/task", with(s.task))
		mux.HandleFunc("GET /"+v+"/{id}/taskWithTags", with(s.task))
		mux.HandleFunc("GET /"+v+"/{id}/stats", with(s.stats))
		mux.HandleFunc("GET /"+v+"/{id}/task/stats", with(s.taskStats))
	}
	mux.HandleFunc("GET /api/{id}/task-protection/v1/state", with(s.protection))
	mux.HandleFunc("PUT /api/{id}/task-protection/v1/state", with(s.protection))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "404 page not found", http.StatusNotFound) })
	return mux
}

// credentialError is an error in the words of the ECS agent.
type credentialError struct {
	Code           string `json:"code"`
	Message        string `json:"message"`
	HTTPErrorCode  int    `json:"HTTPErrorCode"`
	httpStatusCode int
}

func (s *Server) credentials(w http.ResponseWriter, r *http.Request, eni string) {
	id := r.PathValue("id")
	if id == "" {
		id = r.URL.Query().Get("id")
	}
	refuse := func(code, message string) {
		e := credentialError{code, "CredentialsV2Request: " + message, http.StatusBadRequest, http.StatusBadRequest}
		writeJSON(w, e.httpStatusCode, e)
	}
	if id == "" {
		refuse("NoIdInRequest", "No ID in the request")
		return
	}
	var c *Credentials
	if s.Tasks != nil {
		var err error
		if c, err = s.Tasks.TaskCredentials(r.Context(), eni, id); err != nil {
			s.fault(w, r, err)
			return
		}
	}
	if c == nil {
		refuse("InvalidIdInRequest", "Credentials not found")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"RoleArn": c.RoleARN, "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey,
		"Token": c.Token, "Expiration": c.Expiration.UTC().Format(time.RFC3339),
	})
}

// find is the task of a request; nil when it was answered.
func (s *Server) find(w http.ResponseWriter, r *http.Request, eni string) *Task {
	id := r.PathValue("id")
	var t *Task
	if s.Tasks != nil {
		var err error
		if t, err = s.Tasks.Task(r.Context(), eni, id); err != nil {
			s.fault(w, r, err)
			return nil
		}
	}
	if t == nil {
		version := strings.ToUpper(r.URL.Path[1:3])
		writeJSON(w, http.StatusNotFound, fmt.Sprintf("%s container metadata handler: unable to get container ID from request: unable to get docker ID from v3 endpoint ID: %s", version, id))
	}
	return t
}

func (s *Server) container(w http.ResponseWriter, r *http.Request, eni string) {
	t := s.find(w, r, eni)
	if t == nil {
		return
	}
	for _, c := range t.Containers {
		if c.MetadataID == r.PathValue("id") {
			writeJSON(w, http.StatusOK, inVersion(r, &c))
			return
		}
	}
	s.fault(w, r, fmt.Errorf("task %s was found by %s but has no such container", t.TaskARN, r.PathValue("id")))
}

func (s *Server) task(w http.ResponseWriter, r *http.Request, eni string) {
	t := s.find(w, r, eni)
	if t == nil {
		return
	}
	var tags map[string]string
	if strings.HasSuffix(r.URL.Path, "/taskWithTags") {
		tags = t.TaskTags
	}
	if strings.HasPrefix(r.URL.Path, "/v3/") {
		writeJSON(w, http.StatusOK, t.version3(tags))
		return
	}
	writeJSON(w, http.StatusOK, struct {
		*Task
		TaskTags map[string]string `json:",omitempty"`
	}{t, tags})
}
